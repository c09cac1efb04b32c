"""The metrics of an experiment, by the definitions that Autosubmit API publishes in its guide on performance."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import NamedTuple

from experiments.performance.settings import SIM, SimulationSettings
from jobs.autosubmit.history import PastAttempt

DAY_SECONDS, HOUR_SECONDS = 86_400, 3_600
JOULES_OF_MEGAWATT_HOUR = 3.6e9
POST, TRANSFER, CLEAN = "POST", "TRANSFER", "CLEAN"

MOST_DEVIATIONS = 7.0
"""A run time so many deviations from the middle is no measure of the model."""

# Of a normal distribution: the standard deviation in median and in mean absolute deviations.
_OF_MEDIAN, _OF_MEAN = 1.4826, 1.2533


class ListedJob(NamedTuple):
    """A job of the job list."""

    name: str
    section: str
    status: str
    chunk: int | None = None
    splits: int | None = None


@dataclass(frozen=True, slots=True)
class MeasuredJob:
    """A job with its newest attempt; a blank attempt (all zero) where the history has none of its status.

    `years` are simulated by it, `elements` its processing elements, `post_seconds` what a POST job takes on average.
    """

    job: ListedJob
    attempt: PastAttempt
    years: float = 0.0
    elements: int = 0
    post_seconds: float = 0.0

    @property
    def queue(self) -> int:
        """Seconds in the queue."""
        return self.attempt.queue_seconds

    @property
    def run(self) -> int:
        """Seconds of its run."""
        return self.attempt.run_seconds

    @property
    def sypd(self) -> float:
        """Simulated years per day of its run."""
        return self._count_years_per_day(self.run)

    @property
    def asypd(self) -> float:
        """Simulated years per day of queue and run, and of a POST job."""
        return self._count_years_per_day(self.queue + self.run + self.post_seconds)

    @property
    def chsy(self) -> float:
        """Core hours per simulated year."""
        return round(self.elements * self.run / self.years / HOUR_SECONDS, 2) if self.years else 0.0

    @property
    def jpsy(self) -> float:
        """Joules per simulated year."""
        return round(self.attempt.energy / self.years, 2) if self.years else 0.0

    def _count_years_per_day(self, seconds: float) -> float:
        return round(self.years * DAY_SECONDS / seconds / (self.job.splits or 1), 2) if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics of an experiment: None where there is nothing to compute one from.

    `considered` are the simulations that they are made of, `left_out` those whose run time is out of the common.
    `energy` is in joules, `footprint` in the unit of the carbon intensity for a MWh.
    """

    parallelization: int
    years: float = 0.0
    sypd: float | None = None
    asypd: float | None = None
    rsypd: float | None = None
    chsy: float | None = None
    jpsy: float | None = None
    energy: int = 0
    footprint: float = 0.0
    considered: Sequence[MeasuredJob] = field(default_factory=list)
    left_out: Sequence[MeasuredJob] = field(default_factory=list)
    posts: int = 0
    real_end: str = ""


def compute_metrics(
    jobs: Iterable[ListedJob],
    newest: Mapping[str, PastAttempt],
    settings: SimulationSettings,
    years_of_runs: Mapping[int, float],
) -> Metrics:
    """Return the metrics of jobs with the newest attempt at each; `years_of_runs` are the years of a chunk by run."""
    done: dict[str, list[MeasuredJob]] = {SIM: [], POST: [], TRANSFER: [], CLEAN: []}
    for job in jobs:
        if job.status == "COMPLETED" and job.section in done:
            done[job.section].append(MeasuredJob(job, _choose_attempt(job, newest)))
    post_seconds = round(fmean(post.queue + post.run for post in done[POST]), 4) if done[POST] else 0.0
    sims = [_complete(sim, settings, years_of_runs, post_seconds) for sim in done[SIM]]
    considered, left_out = separate_outliers(sims, lambda sim: sim.run)
    last = done[TRANSFER] or done[CLEAN]
    made = Metrics(parallelization=settings.elements, left_out=left_out, posts=len(done[POST]))
    return _sum_up(made, considered, settings, post_seconds, last) if considered else made


def _choose_attempt(job: ListedJob, newest: Mapping[str, PastAttempt]) -> PastAttempt:
    found = newest.get(job.name)
    return found if found and found.status == job.status else PastAttempt(job.name, 0, job.status, 0, 0, 0, 0, 0)


def _complete(
    sim: MeasuredJob, settings: SimulationSettings, years_of_runs: Mapping[int, float], post_seconds: float
) -> MeasuredJob:
    years = years_of_runs.get(sim.attempt.run_id) or settings.years
    return MeasuredJob(sim.job, sim.attempt, years, settings.elements, post_seconds)


def separate_outliers(
    jobs: Sequence[MeasuredJob], measure: Callable[[MeasuredJob], float]
) -> tuple[list[MeasuredJob], list[MeasuredJob]]:
    """Return the jobs that are measured alike, and the others: those of no time, and by the modified z-score."""
    found = [measure(job) for job in jobs if measure(job) > 0]
    middle = median(found) if found else 0.0
    deviation = _OF_MEDIAN * median(abs(each - middle) for each in found) if found else 0.0
    if not deviation and found:
        deviation = _OF_MEAN * fmean(abs(each - fmean(found)) for each in found)

    def is_common(job: MeasuredJob) -> bool:
        far = abs(measure(job) - middle)
        return measure(job) > 0 and (not deviation or far / deviation <= MOST_DEVIATIONS)

    return [job for job in jobs if is_common(job)], [job for job in jobs if not is_common(job)]


def _sum_up(
    made: Metrics,
    sims: Sequence[MeasuredJob],
    settings: SimulationSettings,
    post_seconds: float,
    last: Sequence[MeasuredJob],
) -> Metrics:
    years, energy = sum(sim.years for sim in sims), sum(sim.attempt.energy for sim in sims)
    run, queue = sum(sim.run for sim in sims), sum(sim.queue for sim in sims)
    with_energy = sum(sim.attempt.energy > 0 for sim in sims)
    real = max((job.attempt.finish for job in last), default=0) - min(sim.attempt.start for sim in sims)
    return replace(
        made,
        years=years,
        sypd=_divide(years * DAY_SECONDS, run),
        asypd=_divide(years * DAY_SECONDS, run + queue + post_seconds),
        rsypd=_divide(years * DAY_SECONDS, real) if last else None,
        chsy=round(fmean(sim.chsy for sim in sims), 4),
        jpsy=_divide(sum(sim.jpsy for sim in sims), with_energy),
        energy=energy,
        footprint=energy / JOULES_OF_MEGAWATT_HOUR * settings.carbon * settings.usage,
        considered=sims,
        real_end=last[0].job.section if last else "",
    )


def _divide(dividend: float, divisor: float) -> float | None:
    return round(dividend / divisor, 4) if divisor > 0 else None
