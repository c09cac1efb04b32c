"""What differs between two runs: the jobs that they tried, how these ended, and what they took."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.performance.costs import Cost, count_sections
from experiments.performance.metrics import ListedJob
from jobs.autosubmit.history import PastAttempt

LEAST_DIFFERENCE = 0.2
"""Of the longer of two times: by less, jobs differ from run to run without a reason."""


@dataclass(frozen=True, slots=True)
class JobInRun:
    """A job as a run left it: the status of its last attempt there, and how many there were. Times are in seconds."""

    status: str
    attempts: int
    queue: int
    run: int


@dataclass(frozen=True, slots=True)
class ComparedJob:
    """A job in two runs; None where the run did not try it. `name` is without the expid."""

    name: str
    section: str
    first: JobInRun | None
    second: JobInRun | None

    @property
    def differs(self) -> bool:
        """Whether only one run tried it, or it ended otherwise, or took more or fewer attempts."""
        if self.first is None or self.second is None:
            return True
        return (self.first.status, self.first.attempts) != (self.second.status, self.second.attempts)

    @property
    def took_otherwise(self) -> bool:
        """Whether it completed in both, and ran by more than a fifth longer or shorter in one of them."""
        if self.first is None or self.second is None or {self.first.status, self.second.status} - {"COMPLETED"}:
            return False
        shorter, longer = sorted((self.first.run, self.second.run))
        return longer - shorter > LEAST_DIFFERENCE * longer


@dataclass(frozen=True, slots=True)
class ComparedSection:
    """What a section cost in two runs."""

    name: str
    first: Cost
    second: Cost

    @property
    def queue_difference(self) -> float | None:
        """By how many seconds the middle of the queue times is longer in the second run; None if one has none."""
        return self.second.queue - self.first.queue if self._are_both_measured else None

    @property
    def run_difference(self) -> float | None:
        """The same of the run times."""
        return self.second.run - self.first.run if self._are_both_measured else None

    @property
    def _are_both_measured(self) -> bool:
        return bool(self.first.runs and self.second.runs)


@dataclass(frozen=True, slots=True)
class RunJobs:
    """The jobs that a run tried, by their name without the expid, with its attempts at each, the oldest first."""

    jobs: dict[str, ListedJob] = field(default_factory=dict)
    attempts: dict[str, list[PastAttempt]] = field(default_factory=dict)

    @property
    def statuses(self) -> Counter[str]:
        """How many jobs ended in each status."""
        return Counter(job.status for job in self.jobs.values())

    @property
    def retrials(self) -> int:
        """The attempts beyond the first at each job."""
        return sum(map(len, self.attempts.values())) - len(self.attempts)

    def get(self, name: str) -> JobInRun | None:
        """Return the job of that name as the run left it."""
        if name not in self.jobs:
            return None
        of_job = self.attempts[name]
        last = of_job[-1]
        return JobInRun(last.status, len(of_job), last.queue_seconds, last.run_seconds)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side; the jobs are in the order of the job list."""

    first: RunJobs
    second: RunJobs
    jobs: Sequence[ComparedJob]
    sections: Sequence[ComparedSection]

    @property
    def statuses(self) -> list[tuple[str, int, int]]:
        """How many jobs ended in each status in the first and in the second run."""
        first, second = self.first.statuses, self.second.statuses
        return [(status, first[status], second[status]) for status in dict.fromkeys([*first, *second])]


def choose_run(
    expid: str, jobs: Iterable[ListedJob], attempts: Mapping[str, Sequence[PastAttempt]], run_id: int
) -> RunJobs:
    """Return what a run tried of the attempts at all jobs; jobs that are not in the list any more come last."""
    found = RunJobs()
    listed = {job.name: job for job in jobs}
    for name in [*listed, *(attempts.keys() - listed.keys())]:
        of_run = [attempt for attempt in attempts.get(name, ()) if attempt.run_id == run_id]
        if of_run:
            short = name.removeprefix(f"{expid}_")
            job = listed.get(name, ListedJob(name, "", ""))
            found.jobs[short] = job._replace(status=of_run[-1].status)
            found.attempts[short] = of_run
    return found


def compare_runs(first: RunJobs, second: RunJobs) -> Comparison:
    """Compare what two runs tried."""
    return Comparison(first, second, [*_pair_jobs(first, second)], [*_pair_sections(first, second)])


def _pair_jobs(first: RunJobs, second: RunJobs) -> Iterator[ComparedJob]:
    for name, job in (second.jobs | first.jobs).items():
        yield ComparedJob(name, job.section, first.get(name), second.get(name))


def _pair_sections(first: RunJobs, second: RunJobs) -> Iterator[ComparedSection]:
    of_first, of_second = _count(first), _count(second)
    for name in dict.fromkeys([*of_first, *of_second]):
        yield ComparedSection(name, of_first.get(name, Cost(name)), of_second.get(name, Cost(name)))


def _count(run: RunJobs) -> dict[str, Cost]:
    jobs = [job._replace(name=name) for name, job in run.jobs.items()]
    return {cost.name: cost for cost in count_sections(jobs, run.attempts)}
