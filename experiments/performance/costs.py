"""What the jobs of each section took and cost, and how that went from chunk to chunk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from experiments.performance.metrics import HOUR_SECONDS, ListedJob
from jobs.autosubmit.history import PastAttempt

COMPLETED, FAILED = "COMPLETED", "FAILED"


@dataclass(slots=True)
class Cost:
    """Attempts at the jobs of a section, or of one chunk of it. Times are in seconds.

    `retrials` are attempts at a job beyond its first in a run.
    """

    name: str
    jobs: int = 0
    done: int = 0
    attempts: int = 0
    failed: int = 0
    retrials: int = 0
    queues: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    core_seconds: int = 0
    failed_core_seconds: int = 0
    energy: int = 0

    @property
    def queue(self) -> float:
        """What a completed attempt waited, the middle."""
        return median(self.queues) if self.queues else 0.0

    @property
    def run(self) -> float:
        """What a completed attempt took, the middle."""
        return median(self.runs) if self.runs else 0.0

    @property
    def longest(self) -> int:
        """The longest completed attempt."""
        return max(self.runs, default=0)

    @property
    def core_hours(self) -> float:
        """Of all attempts that ended."""
        return self.core_seconds / HOUR_SECONDS

    @property
    def failed_core_hours(self) -> float:
        """Of the failed attempts among them."""
        return self.failed_core_seconds / HOUR_SECONDS

    def add(self, job: ListedJob, attempts: Sequence[PastAttempt]) -> None:
        """Count a job with all attempts at it."""
        self.jobs += 1
        self.done += job.status == COMPLETED
        self.retrials += len(attempts) - len({attempt.run_id for attempt in attempts})
        for attempt in attempts:
            self._add_attempt(attempt)

    def _add_attempt(self, attempt: PastAttempt) -> None:
        core_seconds = attempt.ncpus * attempt.run_seconds
        self.attempts += 1
        self.core_seconds += core_seconds
        self.energy += attempt.energy
        if attempt.status == FAILED:
            self.failed += 1
            self.failed_core_seconds += core_seconds
        elif attempt.status == COMPLETED and attempt.run_seconds:
            self.queues.append(attempt.queue_seconds)
            self.runs.append(attempt.run_seconds)


def group_attempts(attempts: Iterable[PastAttempt]) -> dict[str, list[PastAttempt]]:
    """Return the attempts by job, the newest last."""
    found: dict[str, list[PastAttempt]] = {}
    for attempt in attempts:
        found.setdefault(attempt.name, []).append(attempt)
    return found


def count_sections(jobs: Iterable[ListedJob], attempts: Mapping[str, Sequence[PastAttempt]]) -> list[Cost]:
    """Return what each section cost, in the order of the job list."""
    found: dict[str, Cost] = {}
    for job in jobs:
        found.setdefault(job.section, Cost(job.section)).add(job, attempts.get(job.name, ()))
    return [*found.values()]


def count_chunks(jobs: Iterable[ListedJob], attempts: Mapping[str, Sequence[PastAttempt]], section: str) -> list[Cost]:
    """Return what each chunk of a section cost, of all start dates and members together; "" is no chunk."""
    found: dict[int, Cost] = {}
    for job in jobs:
        if job.section == section:
            chunk = job.chunk or 0
            found.setdefault(chunk, Cost(str(job.chunk or ""))).add(job, attempts.get(job.name, ()))
    return [found[chunk] for chunk in sorted(found)]
