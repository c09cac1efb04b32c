"""The progress of an experiment over time: how many of its jobs had been completed at each moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db.models import Count, Max, Min, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from autosubmit_portal.console.parts.presentation import minute, number
from jobs.autosubmit.statuses import DONE
from jobs.pictured import Seconds

COLUMNS = 60
WIDTH, HEIGHT = 600, 60
"""Of the picture, in its own units."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Since when the jobs that are done were worked at, how long one column is, and how many were done by its end."""

    begin: datetime
    column: timedelta
    done: list[int]
    total: int

    @property
    def end(self) -> datetime:
        """When the last job was done."""
        return self.begin + len(self.done) * self.column

    @property
    def summary(self) -> str:
        """What a screen reader says of the picture."""
        said = gettext("From {begin} to {end}, {done} of {total} jobs were completed.")
        ends = {"begin": minute(self.begin), "end": minute(self.end)}
        return said.format(done=number(self.done[-1]), total=number(self.total), **ends)

    @property
    def outline(self) -> str:
        """The points of the area below the line."""
        step = WIDTH / len(self.done)
        heights = (round(HEIGHT - HEIGHT * done / self.total, 2) for done in (0, *self.done))
        line = " ".join(f"{round(place * step, 2)},{height}" for place, height in enumerate(heights))
        return f"{line} {WIDTH},{HEIGHT} 0,{HEIGHT}"

    def list_steps(self) -> Iterator[tuple[datetime, int]]:
        """Yield the end of each column in which jobs were done, and how many were by then."""
        before = 0
        for place, done in enumerate(self.done, start=1):
            if done != before:
                yield self.begin + place * self.column, done
            before = done


def make_progress(jobs: "QuerySet[Any]", total: int) -> Progress | None:
    """Return the progress of an experiment's jobs; None if it is not known when any was done. Two queries."""
    ended = jobs.filter(status__in=DONE, finished_at__isnull=False).order_by()
    times = ended.aggregate(begin=Min(Coalesce("submitted_at", "started_at", "finished_at")), end=Max("finished_at"))
    begin, end = times["begin"], times["end"]
    if begin is None or not total:
        return None
    seconds = max(int((end - begin).total_seconds()) + 1, COLUMNS)
    column = (Seconds("finished_at") - int(begin.timestamp())) * COLUMNS / seconds
    counts = dict(ended.values_list(column).annotate(count=Count("pk")))
    done = list(accumulate(counts.get(place, 0) for place in range(COLUMNS)))
    return Progress(begin, timedelta(seconds=seconds / COLUMNS), done, total)
