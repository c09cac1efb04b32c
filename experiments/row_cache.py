"""A cache of the mirror process for job lists that change often, so that it makes only changed rows again.

What is not in the cache is read and made again. An entry is valid only while no other process has written the
experiment, which its `refreshed_at` shows.
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
    """What was read of an experiment, the rows made from it, and when they were written (`refreshed_at`).

    `checked_at` is when the whole history was last read (monotonic clock), and not only its new rows.
    """

    decoded: Decoded
    attempts: Attempts
    snapshot: Snapshot
    written_at: datetime
    checked_at: float


class RowCache:
    """Cached experiments by primary key: those used last, with at most MAX_JOBS jobs together."""

    def __init__(self) -> None:
        self._cached: dict[int, Cached] = {}

    def get(self, experiment_id: int) -> Cached | None:
        """Return the entry of an experiment; None without one."""
        return self._cached.get(experiment_id)

    def put(self, experiment_id: int, cached: Cached | None) -> None:
        """Set the entry of an experiment, or with None remove it; drop the oldest entries above MAX_JOBS."""
        self._cached.pop(experiment_id, None)
        if cached is not None:
            self._cached[experiment_id] = cached
        while sum(len(each.snapshot.jobs) for each in self._cached.values()) > MAX_JOBS:
            del self._cached[next(iter(self._cached))]
