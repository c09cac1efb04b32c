"""A cache of the mirror process for job lists that change often: the agent tells only what is new in them.

What is not in the cache is asked for as a whole. An entry says what is in the database only while no other process has
written the experiment, which its `refreshed_at` shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.mirror import Row

MAX_JOBS = 400_000
"""Of all lists together; 10,000 jobs take about 10 MB."""


@dataclass(frozen=True, slots=True)
class Cached:
    """The rows of the jobs by name, the revision of the list and the mark of its edges by which the agent knows them.

    `written_at` is when they were written (`refreshed_at`).
    """

    rows: Mapping[str, Row]
    revision: str
    edges_mark: str
    written_at: datetime


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
        while sum(len(each.rows) for each in self._cached.values()) > MAX_JOBS:
            del self._cached[next(iter(self._cached))]
