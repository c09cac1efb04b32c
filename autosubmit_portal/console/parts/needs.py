"""What needs the person who looks: each thing with one sentence of why, and its one best button."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console.parts.notes import find_seen
from autosubmit_portal.console.parts.presentation import in_zone, mark_code, number, translate, verb
from autosubmit_portal.console.parts.times import write_instant
from autosubmit_portal.workers.models import Worker
from experiments.actions.approve import may_approve
from experiments.actions.notes import may_write
from experiments.attention.alarm import Alarm
from experiments.attention.rules import RULES, TITLES
from experiments.catalogue.kinds import CATALOGUE, RUN_KINDS, STOP_KINDS
from experiments.models import Action, Experiment, Freeze, Note, Site, State
from experiments.models.note import Acknowledged
from experiments.models.states import ACTIVE_STATES
from jobs.autosubmit.secrets import mask_text
from jobs.models import Job

MOST = 50
"""Of one sort, so many are shown."""

RECENT = timedelta(days=1)
_URGENCY = {rule.name: place for place, rule in enumerate(RULES)}
# What is wrong with an experiment that may go on nevertheless.
_MILD = frozenset(("contradictory", "still_queue", "overdue"))
_OF_RUNS = {*RUN_KINDS, *STOP_KINDS}
_GOES_ON = (State.SUCCEEDED, *ACTIVE_STATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that needs somebody: what it is called, what it is about, why, and the best button if there is one.

    `failed_job` is one whose reason is told. `acknowledges` is what somebody may say that they have seen of the
    `experiment`; blank where nobody can.
    """

    key: str
    word: str
    text: SafeString | str
    subject: str = ""
    address: str = ""
    look: str = "bad"
    since: datetime | None = None
    button: str = ""
    button_address: str = ""
    failed_job: Job | None = None
    experiment: Experiment | None = None
    acknowledges: str = ""
    may_acknowledge: bool = False


def list_alarming(user: Any, experiments: "QuerySet[Any]") -> list[Need]:
    """Return what the rules say of these experiments, the most urgent of each; the most urgent first. Two queries."""
    rows = list(experiments.exclude(attention_rules="").select_related("site").order_by("site", "expid")[:MOST])
    policy.look_ahead(user, [row.pk for row in rows])
    found = [(row, row.alarms) for row in rows if row.attention]
    found.sort(key=lambda pair: _URGENCY.get(pair[1][0].rule, len(RULES)))
    return [_describe_alarm(user, row, alarms) for row, alarms in found]


def _describe_alarm(user: Any, experiment: Experiment, alarms: Sequence[Alarm]) -> Need:
    first, others = alarms[0], [gettext(TITLES.get(alarm.rule, alarm.rule)).lower() for alarm in alarms[1:]]
    also = " " + gettext("Also: {others}.").format(others=", ".join(others)) if others else ""
    button, address = _choose_button(user, experiment, first)
    return Need(
        key=f"alarm-{experiment.pk}",
        word=gettext(TITLES.get(first.rule, first.rule)),
        text=mark_code(f"{in_zone(first.sentence)} {translate(first.advice)}{also}"),
        subject=experiment.expid,
        address=_get_address(experiment),
        look="warn" if first.rule in _MILD else "bad",
        since=first.since,
        button=button,
        button_address=address,
        **_offer_acknowledgement(user, experiment, Acknowledged.ATTENTION),
    )


def _offer_acknowledgement(user: Any, experiment: Experiment, what: Acknowledged) -> dict[str, Any]:
    return {"experiment": experiment, "acknowledges": what, "may_acknowledge": may_write(user, experiment)}


def split_seen(needs: Iterable[Need]) -> tuple[list[Need], list[tuple[Need, Note]]]:
    """Return what needs somebody, and apart what somebody has seen as it is now, with their note. One query."""
    found = list(needs)
    seen = find_seen([need.experiment for need in found if need.experiment])
    keys = [(need, (need.experiment.pk if need.experiment else 0, need.acknowledges)) for need in found]
    return [need for need, key in keys if key not in seen], [(need, seen[key]) for need, key in keys if key in seen]


def _choose_button(user: Any, experiment: Experiment, alarm: Alarm) -> tuple[str, str]:
    """Return the words and the address of the best button: what may be asked for, else where to look."""
    kind = CATALOGUE.get(alarm.remedy)
    if kind and policy.may_request(user, kind, site=experiment.site, experiment=experiment):
        address = reverse("admin:experiments_experiment_request", args=[experiment, kind.name])
        # A process that is stopped by a signal hears no other one.
        return gettext(kind.title), f"{address}?force=on" if alarm.rule == "stopped" else address
    if alarm.job:
        job = Job(experiment=experiment, name=alarm.job)
        return gettext("Open the job"), reverse("admin:jobs_job_change", args=[job])
    return gettext("Open"), _get_address(experiment)


def list_failed(user: Any, experiments: "QuerySet[Any]", since: datetime) -> list[Need]:
    """Return which of these experiments have new failed jobs since a time, the newest first. Two queries."""
    jobs = Job.objects.filter(experiment=OuterRef("pk"), status="FAILED")
    newest = jobs.order_by(F("finished_at").desc(nulls_last=True), "pk")
    failed = experiments.filter(failed_jobs__gt=0, failed_at__gt=since).select_related("site")
    rows = failed.annotate(failed_name=Subquery(newest.values("name")[:1]))
    found = list(rows.order_by("-failed_at")[:MOST])
    policy.look_ahead(user, [row.pk for row in found])
    return [_describe_failure(user, row) for row in found if row.failed_name]


def _describe_failure(user: Any, experiment: Any) -> Need:
    count = experiment.failed_jobs
    said = (
        gettext("{job} has failed.") if count == 1 else gettext("{count} jobs have failed, the last of them is {job}.")
    )
    job = Job(experiment=experiment, name=experiment.failed_name)
    return Need(
        key=f"failed-{experiment.pk}",
        word=gettext("Failed"),
        text=said.format(count=number(count), job=experiment.failed_name),
        subject=experiment.expid,
        address=_get_address(experiment),
        since=experiment.failed_at,
        button=gettext("Open the failed job"),
        button_address=reverse("admin:jobs_job_change", args=[job]),
        failed_job=job,
        **_offer_acknowledgement(user, experiment, Acknowledged.FAILURE),
    )


def list_approvals(user: Any, waiting: Iterable[Action]) -> list[Need]:
    """Return which of the actions that wait for a second person this one may approve."""
    rows = list(waiting)
    policy.look_ahead(user, [row.experiment_id for row in rows if row.experiment_id])
    return [
        Need(
            key=f"approve-{row.pk}",
            word=gettext("Waits for you"),
            text=gettext("{person} asks for “{action}”, which a second person must approve.").format(
                person=row.actor_name, action=verb(row)
            ),
            subject=row.expid or str(row.site),
            address=_get_action_address(row),
            look="warn",
            since=row.requested_at,
            button=gettext("Look and approve"),
            button_address=_get_action_address(row),
        )
        for row in rows
        if row.kind in CATALOGUE and may_approve(row, user)
    ]


def list_stuck(waiting: Iterable[Action], failed: Iterable[Action]) -> list[Need]:
    """Return the actions that no worker takes, and those that have failed."""
    bad, ended = gettext("Failed action"), gettext("It has not ended well.")
    failures = (_describe_action(row, bad, in_zone(mask_text(row.message)) or ended, "warn") for row in failed)
    return [*_describe_waiting(list(waiting)), *failures]


def filter_unresolved(failed: Sequence[Action]) -> list[Action]:
    """Return the failed actions that still need somebody, whose experiments are loaded. At most one query.

    One does not once the same was done, or is under way. Starts and stops take the place of each other, and a start
    needs nobody once its experiment has run since, or where failed jobs or the dead run are told of already.
    """
    if not failed:
        return []
    experiments = {row.experiment_id for row in failed if row.experiment_id}
    later = Action.objects.filter(experiment__in=experiments, state__in=_GOES_ON, is_dry_run=False)
    rows = list(later.values_list("experiment_id", "kind", "pk"))
    return [row for row in failed if not (_was_done_since(row, rows) or _is_told_otherwise(row))]


def _was_done_since(action: Action, rows: Iterable[tuple[int | None, str, int]]) -> bool:
    same = _OF_RUNS if action.kind in _OF_RUNS else {action.kind}
    return any(of == action.experiment_id and pk > action.pk and kind in same for of, kind, pk in rows)


def _is_told_otherwise(action: Action) -> bool:
    """Whether it is a start whose experiment has run since, or shows itself what went wrong in that run."""
    experiment = action.experiment
    if experiment is None or action.kind not in RUN_KINDS:
        return False
    began, ended = experiment.run_began_at, action.ended_at
    has_run_since = began is not None and ended is not None and began > ended
    failed, started = experiment.failed_at, action.started_at
    return has_run_since or experiment.is_dead or (failed is not None and started is not None and failed >= started)


def _describe_waiting(actions: Sequence[Action]) -> Iterator[Need]:
    """Yield what actions wait for: a worker only where none reports. One query."""
    alive = set(Worker.objects.alive().values_list("queue", flat=True))
    asked = gettext("Is a worker of the queue “{queue}” running?")
    busy = gettext("The workers of the queue “{queue}” are busy with other commands.")
    for row in actions:
        queue = row.site.queue
        if queue in alive:
            reason = translate(row.message) or busy.format(queue=queue)
            yield _describe_action(row, gettext("Waits for its turn"), reason, "warn")
        else:
            yield _describe_action(row, gettext("Waits for a worker"), asked.format(queue=queue), "bad")


def _describe_action(action: Action, word: str, text: str, look: str) -> Need:
    return Need(
        key=f"action-{action.pk}",
        word=word,
        text=f"{_say_queued(action)} {text}" if action.state == State.QUEUED else text,
        subject=f"{verb(action)} {action.expid}".strip(),
        address=_get_action_address(action),
        look=look,
        since=action.ended_at or action.requested_at,
        button=gettext("Open"),
        button_address=_get_action_address(action),
    )


def _say_queued(action: Action) -> str:
    return gettext("{action} #{number} has been queued.").format(action=verb(action), number=action.pk)


def list_of_sites(sites: Iterable[Site]) -> Iterator[Need]:
    """Yield which sites cannot be read, and of which nobody has looked at the store lately."""
    for site in sites:
        address = reverse("admin:experiments_site_change", args=[site.pk])
        about: dict[str, Any] = {
            "subject": str(site),
            "address": address,
            "button": gettext("Open"),
            "button_address": address,
        }
        if site.problem:
            yield Need(key=f"sick-{site.pk}", word=gettext("Site is unhealthy"), text=in_zone(site.problem), **about)
        elif site.mirrored_at and not site.is_mirror_fresh:
            text = gettext("The mirror is stale: what you see of it may be old.")
            yield Need(
                key=f"stale-{site.pk}", word=gettext("Mirror is late"), text=text, since=site.mirrored_at, **about
            )


def list_of_portal(failures: Iterable[dict[str, Any]]) -> Iterator[Need]:
    """Yield which parts of the portal fail, as the page Health says."""
    for row in failures:
        yield Need(
            key=f"part-{row['part']}-{row['word']}",
            word=gettext("Portal"),
            text=row["text"] + SafeString(" ") + row["remedy"],
            subject=row["part"],
            address=reverse("admin:health"),
            button=gettext("Health"),
            button_address=reverse("admin:health"),
        )


def list_frozen(freezes: Iterable[Freeze]) -> Iterator[Need]:
    """Yield what is frozen now."""
    for row in freezes:
        if row.is_active:
            until = " " + gettext("Until {time}.").format(time=write_instant(row.ends_at)) if row.ends_at else ""
            address = reverse("admin:experiments_freeze_change", args=[row.pk])
            text = f"{row.message}{until}"
            yield Need(
                key=f"frozen-{row.pk}",
                word=gettext("Frozen"),
                text=text,
                subject=str(row),
                address=address,
                look="info",
                since=row.starts_at,
            )


def get_start_of_news() -> datetime:
    """Return since when a failure is news for whoever was never here."""
    return timezone.now() - RECENT


def _get_address(experiment: Experiment) -> str:
    return reverse("admin:experiments_experiment_change", args=[experiment])


def _get_action_address(action: Action) -> str:
    return reverse("admin:experiments_action_change", args=[action.pk])
