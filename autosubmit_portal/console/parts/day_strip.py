"""The last 24 hours in a strip: by the hour, what was asked for and how it ended, and where jobs have failed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.translation import gettext

from autosubmit_portal.console.parts.presentation import number
from experiments.models import State

HOURS = 24
HEIGHT, WIDTH, GAP = 56, 30, 4
"""Of the picture, in its own units; of a column, and between two."""

HOUR = timedelta(hours=1)
_SORTS = ("succeeded", "failed", "other", "experiments")


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column of the picture."""

    look: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Hour:
    """What was asked for in an hour and has succeeded, has failed or neither; and how many experiments got failures."""

    at: datetime
    succeeded: int
    failed: int
    other: int
    experiments: int

    @property
    def total(self) -> int:
        """Of all that the column shows."""
        return self.succeeded + self.failed + self.other + self.experiments


@dataclass(frozen=True, slots=True)
class Strip:
    """The hours, the oldest first, and the picture of them."""

    hours: list[Hour]

    @property
    def total(self) -> int:
        """Of all that the picture shows."""
        return sum(hour.total for hour in self.hours)

    @property
    def summary(self) -> str:
        """What a screen reader says of the picture."""
        sums = {sort: sum(getattr(hour, sort) for hour in self.hours) for sort in _SORTS}
        said = gettext(
            "In the last {hours} hours {succeeded} actions succeeded, {failed} failed and {other} ended otherwise or "
            "go on; {experiments} experiments got failed jobs."
        )
        return said.format(hours=HOURS, **{sort: number(total) for sort, total in sums.items()})

    @property
    def width(self) -> int:
        """Of the picture."""
        return HOURS * (WIDTH + GAP)

    def list_bars(self) -> Iterator[Bar]:
        """Yield the parts of all columns, each from the bottom up."""
        highest = max((hour.total for hour in self.hours), default=0) or 1
        for place, hour in enumerate(self.hours):
            y = float(HEIGHT)
            for sort in _SORTS:
                height = getattr(hour, sort) * HEIGHT / highest
                y -= height
                if height:
                    yield Bar(sort, place * (WIDTH + GAP), round(y, 2), round(height, 2))


def make_strip(actions: "QuerySet[Any]", experiments: "QuerySet[Any]") -> Strip:
    """Count the last 24 hours, each from a full hour of UTC: no clock is turned there. Two queries."""
    last = timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = last - (HOURS - 1) * HOUR
    asked, failed = _count_actions(actions, first), _count_failures(experiments, first)
    hours = [first + passed * HOUR for passed in range(HOURS)]
    return Strip(
        [Hour(at, asked[at, "succeeded"], asked[at, "failed"], asked[at, "other"], failed[at]) for at in hours]
    )


def _count_actions(actions: "QuerySet[Any]", first: datetime) -> Counter[tuple[datetime, str]]:
    rows = actions.filter(requested_at__gte=first, is_dry_run=False).order_by()
    counted = rows.values("state", hour=TruncHour("requested_at", tzinfo=UTC)).annotate(number=Count("pk"))
    found: Counter[tuple[datetime, str]] = Counter()
    for state, hour, count in counted.values_list("state", "hour", "number"):
        found[hour, _get_sort(state)] += count
    return found


def _get_sort(state: str) -> str:
    if state == State.SUCCEEDED:
        return "succeeded"
    return "failed" if state in (State.FAILED, State.LOST) else "other"


def _count_failures(experiments: "QuerySet[Any]", first: datetime) -> Counter[datetime]:
    rows = experiments.filter(failed_jobs__gt=0, failed_at__gte=first).order_by()
    counted = rows.values(hour=TruncHour("failed_at", tzinfo=UTC)).annotate(number=Count("pk"))
    return Counter(dict(counted.values_list("hour", "number")))
