"""How long jobs take, learned from those that are done: the middle of the recent ones, and how far they differ."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from types import MappingProxyType

from experiments.forecast.facts import ForecastJob

RECENT = 20
"""So many jobs of a section are looked at, those that ended last."""

LEAST_SPREAD = 0.05
"""Two jobs are never expected to take the same time, as a share of it."""

FEW_SPREAD = 0.75
"""How far the only measured job may be from the next ones, as a share of it."""

SHARE_OF_WALLCLOCK = 0.25
"""What a job takes of its wallclock, as long as fewer than three sections show another share."""

# The standard deviation of a normal distribution is so many times the median deviation.
_DEVIATION = 1.4826
# What takes so many spreads longer than the middle is like no other.
_FAR = 3.0
# A wait above so many times the middle counts as so long: one night in a queue is not what the next job waits.
_MOST_TIMES_MIDDLE = 10.0


@dataclass(frozen=True, slots=True)
class Duration:
    """What is expected, how far one job is off (a standard deviation), and the measured ones; all in seconds.

    `most` is of a guess: it is a share of that.
    """

    expected: float
    spread: float
    measured: Sequence[float] = ()
    most: float | None = None

    def expect_rest(self, elapsed: float) -> float:
        """Return how long it still takes if it has taken `elapsed`: as those did that took longer than that.

        Where nothing is measured, what goes on for longer than the guess goes on for as long again, within `most`.
        """
        longer = [seconds for seconds in self.measured if seconds > elapsed]
        if longer:
            return median(longer) - elapsed
        if self.measured or elapsed < self.expected:
            return max(self.expected - elapsed, self.spread)
        return elapsed if self.most is None else max(0.0, min(elapsed, self.most - elapsed))

    def is_exceeded(self, elapsed: float) -> bool:
        """Answer whether `elapsed` is longer than all that is expected, so that nothing tells how long it still takes.

        Of a guess that is its wallclock.
        """
        if self.measured:
            return elapsed > max(*self.measured, self.expected + _FAR * self.spread)
        return self.most is not None and elapsed > self.most


UNKNOWN = Duration(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Durations:
    """What was learned: `runs` and `retries` by section, `waits` by section and platform, and the time between jobs.

    `jobs` is how many of a section were measured now.
    `waits` also has each platform under a blank section. `between` is what Autosubmit takes from the end of the last
    parent to the submission of a job.
    """

    runs: Mapping[str, Duration]
    waits: Mapping[tuple[str, str], Duration]
    jobs: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, float] = field(default_factory=dict)
    between: float = 0.0

    def get_wait(self, section: str, platform: str) -> Duration:
        """Return how long a job waits on its platform."""
        return self.waits.get((section, platform)) or self.waits.get(("", platform)) or UNKNOWN

    def get_run(self, section: str) -> Duration:
        """Return how long an attempt at a job takes."""
        return self.runs.get(section, UNKNOWN)


def learn(
    jobs: Sequence[ForecastJob],
    ready_at: Sequence[float | None],
    remembered: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Durations:
    """Return what the jobs that are done tell; `ready_at` is when the last parent of each ended, None if not known.

    `remembered` holds by section how long jobs took before they were reset: it counts where none is measured now. Else
    a section is guessed to take the share of its wallclock that others take of theirs.
    """
    runs, waits, between = defaultdict(list), defaultdict(list), list[float]()
    tried, failed, last = defaultdict[str, int](int), defaultdict[str, int](int), defaultdict[str, int](int)
    for place in _list_measured(jobs):
        job = jobs[place]
        if last[job.section] >= RECENT:
            continue
        last[job.section] += 1
        began, ready = float(job.started_at or 0), ready_at[place]
        sent = began if job.submitted_at is None else float(job.submitted_at)
        runs[job.section].append(float(job.finished_at or 0) - began)
        wait = max(0.0, began - max(sent, ready or sent))
        for section in (job.section, ""):
            waits[section, job.platform].append(wait)
        if ready is not None:
            between.append(max(0.0, sent - ready))
        tried[job.section] += 1
        failed[job.section] += job.failures
    known = {section: _measure(found) for section, found in {**remembered, **runs}.items() if found}
    return Durations(
        {**_guess(jobs, known), **known},
        {key: _measure_wait(found) for key, found in waits.items()},
        tried,
        {section: failed[section] / number for section, number in tried.items()},
        median(between) if between else 0.0,
    )


def _list_measured(jobs: Sequence[ForecastJob]) -> list[int]:
    """Return the places of the jobs that tell how long one takes, those that ended last first."""
    ended = [
        (job.finished_at, place)
        for place, job in enumerate(jobs)
        if job.finished_at is not None and job.status == "COMPLETED" and _is_measured(job)
    ]
    return [place for _, place in sorted(ended, reverse=True)]


def _is_measured(job: ForecastJob) -> bool:
    return job.started_at is not None and job.finished_at is not None and job.finished_at >= job.started_at


def _measure(found: Sequence[float]) -> Duration:
    middle = median(found)
    spread = _DEVIATION * median(abs(seconds - middle) for seconds in found)
    least = FEW_SPREAD * middle / len(found) if len(found) < 3 else LEAST_SPREAD * middle
    return Duration(middle, max(spread, least), found)


def _measure_wait(found: Sequence[float]) -> Duration:
    """Return the mean of waits: of jobs in one wrapper only the first waits, which the middle would not show."""
    most = _MOST_TIMES_MIDDLE * median(found) or max(found)
    bounded = [min(seconds, most) for seconds in found]
    mean = fmean(bounded)
    spread = fmean((seconds - mean) ** 2 for seconds in bounded) ** 0.5
    return Duration(mean, max(spread, FEW_SPREAD * mean / len(found)), bounded)


def _guess(jobs: Iterable[ForecastJob], known: Mapping[str, Duration]) -> dict[str, Duration]:
    """Return a guess for each section whose jobs have a wallclock: that of its first job with one."""
    wallclocks: dict[str, float] = {}
    for job in jobs:
        if job.wallclock and job.section not in wallclocks:
            wallclocks[job.section] = job.wallclock
    shares = [run.expected / wallclocks[section] for section, run in known.items() if section in wallclocks]
    share = min(1.0, median([*shares, SHARE_OF_WALLCLOCK, SHARE_OF_WALLCLOCK]))
    return {section: Duration(share * seconds, 0.0, most=seconds) for section, seconds in wallclocks.items()}
