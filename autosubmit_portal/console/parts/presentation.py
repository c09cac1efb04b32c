"""How things look: the tags and filters of the console's templates. Everything that is not ours is escaped here."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django import template
from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, gettext_noop

from autosubmit_portal import sentences
from autosubmit_portal.access.models import Delegation
from autosubmit_portal.access.rights.people import may_see_accounts
from autosubmit_portal.access.sources import say_source
from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts import times
from autosubmit_portal.console.parts.catalogue import get_forms
from autosubmit_portal.console.parts.markdown import render_markdown
from autosubmit_portal.console.parts.script_words import show_script_words
from experiments.attention.alarm import Alarm
from experiments.attention.rules import TITLES
from experiments.catalogue.kinds import CATALOGUE
from experiments.exit_codes import name_signal
from experiments.models import Action, Experiment, Freeze, Run, State
from experiments.seen_times import find_seen
from jobs.autosubmit.secrets import mask_text, mask_value
from jobs.autosubmit.start_dates import format_start_date
from jobs.autosubmit.statuses import ACTIVE, DONE
from jobs.models import Job
from jobs.workflow import JobRow

register = template.Library()
register.filter("markdown", render_markdown)
register.simple_tag(show_script_words, name="script_words")
register.filter("typed", times.write_typed)
register.simple_tag(timezone.get_current_timezone_name, name="time_zone")

# Autosubmit's statuses in the order of a job's life, which is also the order inside a progress bar.
STATUSES = (
    *("COMPLETED", "SKIPPED", "FAILED", "RUNNING", "QUEUING", "SUBMITTED", "PREPARED", "READY", "HELD"),
    *("DELAYED", "SUSPENDED", "WAITING", "UNKNOWN"),
)
NOTHING = SafeString('<span class="quiet">–</span>')
# One failed job among ten thousand must still be seen in a bar.
THINNEST_PERCENT = 1.5
MOST_LISTED = 50
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (2_592_000, 86_400, "d"))
# The units of times have the same signs in all our languages.
# In a value of a sentence, as in “1,000” or “1,000 WAITING, 2 FAILED”.
_COUNT = re.compile(r"(?:^|(?<=, ))\d{1,3}(?:,\d{3})+(?= |$)")
_PAST, _FUTURE = gettext_noop("{time} ago"), gettext_noop("in {time}")


def format_age(at: datetime, now: datetime) -> str:
    """Say how long ago `at` was; a date when that is more than a month. time.js says the same in the browser."""
    seconds = int((now - at).total_seconds())
    if -5 < seconds < 5:
        return gettext("just now")
    for limit, unit, name in _STEPS:
        if abs(seconds) < limit:
            return gettext(_PAST if seconds > 0 else _FUTURE).format(time=f"{abs(seconds) // unit} {name}")
    return timezone.localtime(at).strftime(times.DAY)


@register.filter
def when(at: datetime | None) -> SafeString:
    """Show an instant relative to now, with the exact time as tooltip."""
    if at is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        at.astimezone(UTC).isoformat(timespec="seconds"),
        times.write_instant(at, times.SECOND),
        format_age(at, timezone.now()),
    )


@register.filter
def minute(at: datetime) -> str:
    """Say an instant to the minute, with its zone."""
    return times.write_instant(at)


@register.filter
def model_time(at: datetime) -> str:
    """Say a time of the model, such as a start date: it is nowhere on earth, and the same for everybody."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def show_start_date(job: Job) -> SafeString | str:
    """Show the start date of a job, as Autosubmit writes it in names; a dash for a job without one."""
    return format_start_date(job.date, job.name) if job.date else NOTHING


@register.filter
def exact(at: datetime | None) -> SafeString:
    """Show an instant in full, then relative to now."""
    if at is None:
        return NOTHING
    return format_html(
        '<span class="num nowrap">{}</span> <span class="quiet">{}</span>',
        times.write_instant(at, times.SECOND),
        when(at),
    )


@register.simple_tag
def command_line() -> str:
    """Return what stands before the name of a command in a terminal."""
    return settings.COMMAND_LINE


@register.filter
def translate(text: object) -> str:
    """Return words, a sentence or a refusal of what knows no Django in the language of the page.

    A sentence may have been kept as text, as the database keeps what the portal said to nobody in particular.
    """
    said = text.args[0] if isinstance(text, Exception) and text.args else text
    known = said if isinstance(said, sentences.Sentence) else _recall(str(said or ""))
    if isinstance(known, sentences.Sentence):
        return sentences.translate(known, gettext, _show_value)
    return gettext(known) if known else ""


def _recall(text: str) -> str:
    """Return the sentence that was kept as this text, in a language that says it otherwise."""
    language = get_language() or settings.LANGUAGE_CODE
    return text if language == settings.LANGUAGE_CODE else get_forms(language).recall(text)


def _show_value(value: object) -> str:
    """Write what stands in a sentence: another one that was kept as text, or counts."""
    known = _recall(str(value))
    if isinstance(known, sentences.Sentence):
        return sentences.translate(known, gettext, _show_value)
    return _COUNT.sub(lambda found: number(int(found[0].replace(",", ""))), known)


@register.filter
def in_zone(text: object) -> str:
    """Return a sentence in the language of the page, with its instants in the time zone of whoever reads."""
    return times.put_into_zone(translate(text))


@register.simple_tag
def lasting(start: datetime | None, end: datetime | None = None) -> SafeString | str:
    """Show how long something lasted; what goes on counts on in the browser."""
    if start is None:
        return NOTHING
    text = format_duration(int(((end or timezone.now()) - start).total_seconds()))
    if end is None:
        return format_html('<span class="num" data-since="{}">{}</span>', start.astimezone(UTC).isoformat(), text)
    return format_html('<span class="num">{}</span>', text)


@register.filter
def waited(job: Job) -> SafeString | str:
    """Show how long a job waited in its queue; one that waits still is counting."""
    if job.started_at is None and (job.finished_at or job.status not in ACTIVE):
        return NOTHING
    seen_at = find_seen(job.experiment, job)
    if seen_at is None:
        return lasting(job.submitted_at, job.started_at)
    if job.status == "RUNNING":
        return _mark_seen(lasting(job.submitted_at, seen_at)) if job.submitted_at else NOTHING
    return _mark_seen(lasting(seen_at))


@register.filter
def ran(job: Job) -> SafeString | str:
    """Show how long a job ran; only a running one is still counting."""
    if job.finished_at is None and job.status != "RUNNING":
        return NOTHING
    seen_at = None if job.started_at else find_seen(job.experiment, job)
    return _mark_seen(lasting(seen_at)) if seen_at else lasting(job.started_at, job.finished_at)


@register.filter
def when_of(job: Job, name: str) -> SafeString:
    """Show an instant of a job relative to now; where it is not written, since when the job is seen so."""
    return _show_instant(job, name, when)


@register.filter
def exact_of(job: Job, name: str) -> SafeString:
    """Show an instant of a job in full; where it is not written, since when the job is seen so."""
    return _show_instant(job, name, exact)


@register.filter
def when_lately(job: Job) -> SafeString:
    """Show when something happened to a job last."""
    at = job.finished_at or job.started_at
    if at is not None:
        return when(at)
    return when_of(job, "started_at" if is_start_known(job) else "submitted_at")


@register.filter
def is_start_known(job: Job) -> bool:
    """Answer whether it is written or was seen since when a running job runs."""
    return job.status == "RUNNING" and (job.started_at or find_seen(job.experiment, job)) is not None


def _show_instant(job: Job, name: str, show: Callable[[datetime | None], SafeString]) -> SafeString:
    begun = "started_at" if job.status == "RUNNING" else "submitted_at"
    seen_at = find_seen(job.experiment, job) if name == begun else None
    return _mark_seen(show(seen_at)) if seen_at else show(getattr(job, name))


def _mark_seen(shown: SafeString | str) -> SafeString:
    why = gettext("Autosubmit has not written it yet. Since then the mirror sees the job in its status.")
    return format_html('{} <span class="quiet" title="{}">({})</span>', shown, why, gettext("seen"))


@register.filter
def run_took(run: Run) -> SafeString | str:
    """Show how long a run lasted, from its first process to the end of its last one, if both are known."""
    return lasting(run.began_at, run.ended_at) if run.ended_at else NOTHING


def format_duration(seconds: int) -> str:
    """Say a duration: `42 s`, `3 min 05 s`, `2 h 10 min`, `5 d 03 h`."""
    seconds = max(0, seconds)
    if seconds < 60:
        return f"{seconds} s"
    for limit, unit, small, names in ((3600, 60, 1, ("min", "s")), (86_400, 3600, 60, ("h", "min"))):
        if seconds < limit:
            return f"{seconds // unit} {names[0]} {seconds % unit // small:02d} {names[1]}"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600:02d} h"


def get_status_class(status: str) -> str:
    """Return the CSS class that carries the colour of a job status."""
    return f"st-{status.lower()}" if status in STATUSES else "st-unknown"


@register.filter
def status_chip(status: str) -> SafeString:
    """Show a job status by its name and Autosubmit's colour."""
    return format_html('<span class="chip {}">{}</span>', get_status_class(status), status)


def show_excerpt(text: str) -> SafeString:
    """Show the beginning of a text that may be long."""
    return format_html('<span class="about" title="{0}">{0}</span>', text[:300])


@register.simple_tag(takes_context=True)
def person_link(context: Mapping[str, Any], person: Any) -> SafeString | str:
    """Name a person; with a link to their page for those who may see it."""
    reader = context["request"].user
    if person.pk != reader.pk and not may_see_accounts(reader):
        return str(person)
    return format_html('<a href="{}">{}</a>', reverse("admin:auth_user_change", args=[person]), person)


def link_to_experiment(experiment: Experiment) -> SafeString:
    """Link to the page of an experiment; its site must be loaded with it."""
    address = reverse("admin:experiments_experiment_change", args=[experiment])
    return format_html('<a href="{}">{}</a>', address, experiment)


@register.filter
def state_chip(state: str) -> SafeString:
    """Show the state of an action."""
    label = str(State(state).label) if state in State.values else state
    return format_html('<span class="state state-{}">{}</span>', state, label)


_BAD_ENDINGS = ("refused", "failed", "lost", "deleted", "rejected", "expired")
_GOOD_ENDINGS = ("succeeded", "created", "approved")


@register.filter
def event(name: str) -> SafeString:
    """Show an audit event in words, marked when it is good or bad news."""
    happened = name.partition(".")[2]
    kind = "bad" if happened in _BAD_ENDINGS else "good" if happened in _GOOD_ENDINGS else "plain"
    return format_html('<span class="event event-{}">{}</span>', kind, gettext(describe_event(name)))


def describe_event(name: str) -> str:
    """Say in English words what is recorded under a name such as `action.requested`."""
    words = name.replace(".", " ", 1).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


@register.filter
def freeze_state(frozen: Freeze) -> SafeString:
    """Say whether a freeze holds, is planned, or is over."""
    return _show_validity(frozen, format_html('<span class="state state-warned">{}</span>', gettext("Frozen")))


@register.filter
def delegation_state(delegation: Delegation) -> SafeString:
    """Say whether a delegation holds, is planned, or is over."""
    return _show_validity(delegation, format_html('<span class="state state-succeeded">{}</span>', gettext("Holds")))


def _show_validity(row: Freeze | Delegation, active: SafeString) -> SafeString:
    if row.is_over:
        return format_html('<span class="state state-cancelled">{}</span>', gettext("Over"))
    return active if row.is_active else format_html('<span class="state state-queued">{}</span>', gettext("Planned"))


@register.filter
def lamp(experiment: Experiment) -> SafeString:
    """Show whether an experiment runs, with the evidence as tooltip."""
    if experiment.gone_at:
        kind, text = "gone", gettext("Gone")
    elif experiment.is_running:
        kind, text = "on", gettext("Running")
    elif experiment.is_dead:
        kind, text = "dead", gettext("Dead")
    elif getattr(experiment, "is_starting", False):
        kind, text = "starting", gettext("Starting")
    elif experiment.has_finished:
        kind, text = "done", gettext("Completed")
    elif experiment.failed_jobs:
        kind, text = "failed", gettext("Failed")
    else:
        kind, text = "off", gettext("Idle")
    return format_html('<span class="lamp lamp-{}" title="{}">{}</span>', kind, in_zone(experiment.evidence), text)


# What these say has words and a place of its own.
TOLD_OTHERWISE = ("contradictory", "unreadable")


@register.filter
def list_alarms(experiment: Experiment) -> list[tuple[str, Alarm]]:
    """Return what needs somebody, each with its title, but for what is told otherwise."""
    alarms = experiment.alarms if experiment.attention_rules else ()
    return [
        (gettext(TITLES.get(alarm.rule, alarm.rule)), alarm) for alarm in alarms if alarm.rule not in TOLD_OTHERWISE
    ]


@register.filter
def bar(counts: Mapping[str, int]) -> SafeString:
    """Draw the shares of the job statuses as one stacked bar that a screen reader can read out."""
    present = [(status, int(counts.get(status) or 0)) for status in STATUSES]
    present = [(status, count) for status, count in present if count > 0]
    label = ", ".join(f"{number(count)} {status}" for status, count in present) or gettext("no jobs")
    segments = format_html_join(
        "",
        '<rect class="{}" x="{}%" width="{}%" height="100%"/>',
        ((css, f"{start:.2f}", f"{share:.2f}") for css, start, share in share_out(present)),
    )
    return format_html('<svg class="bar" role="img" aria-label="{}"><title>{}</title>{}</svg>', label, label, segments)


def share_out(present: Sequence[tuple[str, int]]) -> Iterable[tuple[str, float, float]]:
    """Yield for each status its CSS class, and where its part of a bar begins and how long it is, in percent."""
    total = sum(count for _, count in present)
    shares = [max(THINNEST_PERCENT, 100 * count / total) for _, count in present]
    scale = 100 / sum(shares) if shares else 1
    start = 0.0
    for (status, _), share in zip(present, shares, strict=True):
        yield get_status_class(status), start, share * scale
        start += share * scale


@register.filter
def progress(experiment: Experiment) -> SafeString:
    """Show how far an experiment is: the bar, how many jobs are done, and in words what fails and what runs."""
    if not experiment.total_jobs:
        why = gettext("unreadable") if experiment.problem else gettext("no job list")
        return format_html('<span class="quiet">{}</span>', why)
    done = experiment.count(*DONE)
    return format_html(
        '<div class="progress">{}<span class="progress-text"><b class="num">{}</b><span class="num quiet">/{}</span>'
        "{}{}</span></div>",
        bar(experiment.status_counts),
        number(done),
        number(experiment.total_jobs),
        _link_to_failed(experiment),
        _show_count(experiment.count(*ACTIVE), gettext("active"), "st-running"),
    )


def _link_to_failed(experiment: Experiment) -> SafeString:
    text = _show_count(experiment.count("FAILED"), gettext("failed"), "st-failed")
    if not text:
        return SafeString()
    jobs = reverse("admin:jobs_job_of_experiment", args=[experiment])
    return format_html('<a href="{}?status=FAILED">{}</a>', jobs, text)


def _show_count(count: int, word: str, css: str) -> SafeString | str:
    return format_html('<span class="noted {}">{} {}</span>', css, number(count), word) if count else ""


@register.filter
def legend(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the statuses that occur with their counts, in the order of the bar."""
    return [(status, int(counts[status])) for status in STATUSES if counts.get(status)]


@register.filter
def count_statuses(rows: Iterable[JobRow]) -> list[tuple[str, int]]:
    """Return the statuses of some jobs with their counts."""
    return legend(Counter(row.status for row in rows))


@register.filter
def shell(argv: Sequence[str]) -> str:
    """Write an argv as one would type it in a shell, without its secrets."""
    return shlex.join(mask_value(list(argv))[0])


@register.filter
def pretty(value: Any) -> str:
    """Write JSON for people, without its secrets."""
    return json.dumps(mask_value(value)[0], indent=2, ensure_ascii=False, sort_keys=True)


@register.filter
def details(stored: Mapping[str, Any]) -> str:
    """Write the details of an entry of the trail for people, each by its name in the language of the page."""
    masked = mask_value(stored)[0]
    return pretty({gettext(name.replace("_", " ")): value for name, value in masked.items()})


@register.filter
def subject(text: str) -> str:
    """Say what an entry of the trail is about: what kind of thing in the language of the page, then its name."""
    thing, blank, name = text.partition(" ")
    told, title = translate(text), _list_things().get(thing) if blank else None
    return f"{title} {name}" if title and told == text else told


@cache
def _list_things() -> dict[str, Any]:
    """Return the words for each kind of row that is watched (`audit.watch`), by what the trail calls it."""
    names = (model._meta for model in apps.get_models())
    return {name.verbose_name_raw.replace(" ", "_").lower(): name.verbose_name for name in names}


@register.filter
def mask_secrets(value: Any) -> Any:
    """Hide the secrets in a text; other values are as they are."""
    return mask_text(value) if isinstance(value, str) else value


@register.filter
def source(name: str) -> str:
    """Say who keeps a right: people, or a provider of identities."""
    return say_source(name)


@register.filter
def or_dash(value: Any) -> Any:
    """Show a dash for what is not known."""
    return NOTHING if value in (None, "", []) else value


@register.filter
def show_exit_code(code: int) -> str:
    """Show an exit code, with the signal that it stands for."""
    signal = name_signal(code)
    return f"{code} ({signal})" if signal else str(code)


_CODE = re.compile("`([^`]+)`")


@register.filter
def mark_code(text: str) -> SafeString:
    """Show the words of a text that stand between backticks as code."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S308  # escaped, then our own tags


@register.filter
def number(value: int) -> str:
    """Write a number with its thousands apart, as the language does."""
    return number_format(value, force_grouping=True)


@register.filter
def rounded(value: float, digits: int) -> str:
    """Write a number with its thousands apart and so many digits behind the point."""
    return number_format(f"{value:.{digits}f}", force_grouping=True)


@register.filter
def lasting_seconds(seconds: float) -> str:
    """Write how long something takes."""
    return format_duration(round(seconds))


@register.filter
def by_seconds(seconds: float | None) -> SafeString | str:
    """Say by how much something takes longer (+) or shorter (−); a dash if it is not known."""
    if seconds is None:
        return NOTHING
    sign = "+" if seconds > 0 else "−" if seconds < 0 else "±"
    return f"{sign}{format_duration(round(abs(seconds)))}"


@register.filter
def get_item(mapping: Mapping[str, Any], key: str) -> Any:
    """Look `key` up in a mapping."""
    return mapping.get(key)


@register.filter
def join_items(value: Any) -> Any:
    """Write a parameter for people: lists with commas, and only the beginning of a long one."""
    if not isinstance(value, list):
        return value
    shown = ", ".join(str(one) for one in value[:MOST_LISTED])
    more = len(value) - MOST_LISTED
    return shown if more <= 0 else gettext("{items} and {number} more").format(items=shown, number=more)


@register.filter
def kind_title(name: str) -> str:
    """Return the title of an action kind; the name itself for a kind that is no longer in the catalogue."""
    return gettext(CATALOGUE[name].title) if name in CATALOGUE else name


@register.filter
def verb(action: Action) -> str:
    """Say what an action does, in a few words."""
    title = kind_title(action.kind)
    return gettext("{title} (dry run)").format(title=title) if action.is_dry_run else title


@register.simple_tag(takes_context=True)
def live(context: Mapping[str, Any], seconds: int) -> SafeString:
    """Return the attributes that make an element with an id of its own refresh itself from its page."""
    request: HttpRequest = context["request"]
    return format_html(
        'data-live="{}" data-stamp="{}" hx-get="{}" hx-trigger="live" hx-target="this" hx-swap="morph" hx-ext="morph"',
        seconds,
        stamps.get_stamp(request),
        request.get_full_path(),
    )
