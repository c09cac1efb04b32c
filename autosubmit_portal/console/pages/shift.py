"""The hand-over of a shift: what was done, what failed, what somebody has taken, what runs, and who goes on."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from autosubmit_portal.access.visits import find_last_visit
from autosubmit_portal.audit.periods import MORNING
from autosubmit_portal.console.pages.now import WHOSE, choose_acts, choose_experiments, get_now_context
from autosubmit_portal.console.parts import acts
from autosubmit_portal.console.parts.base import parse_number
from autosubmit_portal.console.parts.colleagues import list_colleagues
from autosubmit_portal.console.parts.times import read_instant
from autosubmit_portal.console.site import console
from experiments import activity
from experiments.models import Action, Experiment, Note

HOURS = (8, 12, 24)
MOST_HOURS = 24 * 31
MOST_ACTS, MOST_ROWS = 200, 100
LONGEST_ACTION = timedelta(days=31)
"""What was asked for so long before and ended in the shift is looked for."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The time that the page is about, and whose experiments."""

    since: datetime
    until: datetime
    whose: str

    @property
    def query(self) -> str:
        """The query of an address that means this very time, whenever it is opened."""
        times = {name: getattr(self, name).astimezone(UTC).isoformat(timespec="seconds") for name in ("since", "until")}
        return urlencode({**times, "whose": self.whose})


def shift_page(request: HttpRequest) -> HttpResponse:
    """Show what whoever comes next must know."""
    shift = read_shift(request)
    address = request.build_absolute_uri(f"{reverse('admin:shift')}?{shift.query}")
    context = {
        **console.each_context(request),
        **read_shift_context(request.user, shift),
        "title": gettext("Hand-over"),
        "shift": shift,
        "choices": list_choices(request, shift),
        "whose_choices": WHOSE.items(),
        "mail": f"mailto:?subject={quote(gettext('Hand-over of the shift'))}&body={quote(address)}",
        "colleagues": list_colleagues(request.user),
        "morning": find_morning(timezone.now()),
    }
    return TemplateResponse(request, "admin/portal/shift.html", context)


def read_shift(request: HttpRequest) -> Shift:
    """Return the time that the address says, by default the last 8 hours."""
    now = timezone.now()
    until = read_instant(request.GET.get("until", "")) or now
    hours = min(parse_number(request.GET.get("hours")) or HOURS[0], MOST_HOURS)
    since = read_instant(request.GET.get("since", "")) or until - timedelta(hours=hours)
    whose = request.GET.get("whose", "")
    return Shift(min(since, until), until, whose if whose in WHOSE else "all")


def read_shift_context(user: Any, shift: Shift) -> dict[str, Any]:
    """Return what the page shows of a time, and of now."""
    now = get_now_context(user, shift.whose, shift.since)
    choice = replace(choose_acts(user, shift.whose), since=shift.since, until=shift.until, by_people=True)
    done = activity.read_acts(user, choice, MOST_ACTS)
    experiments = choose_experiments(user, shift.whose)
    ended = [activity.Act(row.requested_at, action=row) for row in list_ended(user, choice, shift)]
    return {
        **{name: now[name] for name in ("needs", "seen", "running", "totals", "planned_freezes")},
        "lines": acts.tell(done.rows),
        "by_commands": activity.count_by_commands(user, choice),
        "has_more": done.next is not None,
        "ended": acts.tell(ended),
        "failed": list_failed(experiments, shift),
        "notes": list_notes(experiments, shift),
    }


def list_ended(user: Any, choice: activity.Choice, shift: Shift) -> list[Action]:
    """Return the actions that ended in the time and were asked for before it, such as long runs."""
    before = replace(choice, since=shift.since - LONGEST_ACTION, until=shift.since)
    (rows,) = activity.list_action_streams(user, before)
    ended: QuerySet[Any] = rows.filter(ended_at__gte=shift.since, ended_at__lt=shift.until)
    return list(ended.order_by("-pk")[:MOST_ROWS])


def list_failed(experiments: "QuerySet[Any]", shift: Shift) -> list[Experiment]:
    """Return the experiments of which jobs have failed in the time, and are failed still."""
    rows = experiments.filter(failed_jobs__gt=0, failed_at__gte=shift.since, failed_at__lt=shift.until)
    return list(rows.select_related("site").order_by("-failed_at")[:MOST_ROWS])


def list_notes(experiments: "QuerySet[Any]", shift: Shift) -> list[Note]:
    """Return the notes that were written in the time and hold."""
    rows = Note.objects.current().filter(made_at__gte=shift.since, made_at__lt=shift.until, acknowledges="")
    found = rows.filter(experiment__in=experiments.values("pk")).select_related("experiment__site")
    return list(found.order_by("-made_at")[:MOST_ROWS])


def list_choices(request: HttpRequest, shift: Shift) -> list[tuple[str, str, bool]]:
    """Return query, words, and whether it is this one, of the times that are offered."""
    is_fixed = bool(read_instant(request.GET.get("since", "")))
    length = round((shift.until - shift.since).total_seconds() / 3600)
    found = [
        (
            urlencode({"hours": hours, "whose": shift.whose}),
            gettext("Last {hours} hours").format(hours=hours),
            not is_fixed and length == hours,
        )
        for hours in HOURS
    ]
    visit = find_last_visit(request.user)
    if visit:
        text = visit.astimezone(UTC).isoformat(timespec="seconds")
        query = urlencode({"since": text, "whose": shift.whose})
        found.append((query, gettext("Since your last visit"), request.GET.get("since") == text))
    return found


def find_morning(now: datetime) -> datetime:
    """Return when it is 8:00 next, in the time zone of whoever asks."""
    here = timezone.localtime(now)
    morning = datetime.combine(here.date(), MORNING, here.tzinfo)
    return morning if morning > here else morning + timedelta(days=1)
