"""What the mirror process remembers of job lists that change again and again, so that it makes only new rows anew.

Nothing depends on it: what is forgotten is read and made again. It says what the database holds only as long as nobody
else has written, which the `refreshed_at` of the experiment tells.
"""

from dataclasses import dataclass
from datetime import datetime

from jobs.autosubmit.history import Attempts
from jobs.autosubmit.job_list import Decoded
from jobs.mirror import Snapshot

MAX_JOBS = 400_000
"""Of all lists together; 10,000 jobs take about 20 MB."""


@dataclass(frozen=True, slots=True)
class Cached:
    """What was read of an experiment, the rows that were made of it, and when they were written (`refreshed_at`).

    `checked_at` is when the whole history was read last (monotonic clock), not only what may be new in it.
    """

    decoded: Decoded
    attempts: Attempts
    snapshot: Snapshot
    written_at: datetime
    checked_at: float


class RowCache:
    """What is remembered of experiments by their primary key: of those that were used last, at most MAX_JOBS jobs."""

    def __init__(self) -> None:
        self._cached: dict[int, Cached] = {}

    def get(self, experiment_id: int) -> Cached | None:
        """Return what is remembered of an experiment, if anything is."""
        return self._cached.get(experiment_id)

    def put(self, experiment_id: int, cached: Cached | None) -> None:
        """Remember this of an experiment, or with None nothing, and forget others when that is too much."""
        self._cached.pop(experiment_id, None)
        if cached is not None:
            self._cached[experiment_id] = cached
        while sum(len(each.snapshot.jobs) for each in self._cached.values()) > MAX_JOBS:
            del self._cached[next(iter(self._cached))]
