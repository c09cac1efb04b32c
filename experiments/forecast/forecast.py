"""The forecast of an end: the rest of the workflow played through with what was learned of its jobs."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from autosubmit_portal.sentences import add, marked, say
from experiments.forecast.durations import Durations, learn
from experiments.forecast.facts import ForecastFacts, ForecastJob
from experiments.forecast.schedule import Left, play
from jobs.autosubmit.statuses import ACTIVE, DONE
from jobs.pictures.levels import list_children
from jobs.pictures.picture import Edge

MOST_JOBS = 200_000
"""Of larger lists there is no forecast: it would take longer than it tells."""

NOTHING_RUNS = say("Nothing runs now.")
NOT_MADE = say("It is made within a minute of the first look at the run.")
NO_JOBS = say("There is no job list yet.")
NO_EDGES = say("Which jobs wait for which is not known.")
IN_CIRCLE = say("Some jobs wait for each other.")
NOTHING_MEASURED = say("No job has ended yet from which to learn, and no wallclock is known.")

HELD = ("SUSPENDED", "HELD", "UNKNOWN")
"""Of jobs that end only when somebody does something. Those that are FAILED have no retrials left."""

RATE_SECONDS = 86_400.0
LEAST_RATE_SECONDS, LEAST_RATE_JOBS = 60.0, 2
"""Less is no base for a rate."""

MOST_SECTIONS, MOST_REMEMBERED = 100, 9
MOST_NAMES = 10
# Four in five ends are within so many standard deviations.
_WITHIN = 1.28
# What is common to all jobs of a run, such as a file system that becomes slow, as a share of the time that is left.
_COMMON = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When the last job is expected to end, or the last one that can go on; and what that rests on.

    Four in five ends should lie between `earliest_at` and `latest_at`. Without an end `why_not` says why there is
    none. `condition` is what must happen first, blank for nothing. `blocked` is how many jobs cannot go on in this run
    because others have failed, None where none has. `measured` is the number of jobs that were measured.
    Of the sections with jobs left and no measured one, `recalled` were measured before their jobs were reset, and
    `unmeasured` never. `path` counts by section the jobs of the longest way there. `rate` is how many jobs were done in
    an hour lately, None while it is not known. `durations` is what the next forecast may remember, in seconds.
    """

    made_at: datetime
    ends_at: datetime | None = None
    earliest_at: datetime | None = None
    latest_at: datetime | None = None
    why_not: str = ""
    condition: str = ""
    blocked: int | None = None
    jobs_left: int = 0
    measured: int = 0
    recalled: Sequence[str] = field(default_factory=list)
    unmeasured: Sequence[str] = field(default_factory=list)
    path: Mapping[str, int] = field(default_factory=dict)
    rate: float | None = None
    durations: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def told_at(self) -> datetime | None:
        """When it was made; None for what is no forecast, which is so whenever one asks."""
        return None if self.why_not else self.made_at

    @property
    def is_bound(self) -> bool:
        """Whether nothing on the way to the end was ever measured: the wallclocks only tell that it is not later."""
        return self.ends_at is not None and bool(self.path) and {*self.path} <= {*self.unmeasured}

    @property
    def basis(self) -> str:
        """What it rests on, in sentences."""
        told: str = say("{number} jobs are measured.", number=f"{self.measured:,}")
        if self.path:
            counts = ", ".join(f"{number:,} {section}" for section, number in self.path.items())
            told = add(told, say("The longest way to the end: {counts}.", counts=counts))
        if self.recalled:
            told = add(told, say("Measured before they were reset: {names}.", names=_list_names(self.recalled)))
        if self.unmeasured:
            names = _list_names(self.unmeasured)
            told = add(told, say("Never measured, so guessed from the wallclock: {names}.", names=names))
        return told


def _list_names(names: Sequence[str]) -> str:
    listed, more = ", ".join(names[:MOST_NAMES]), len(names) - MOST_NAMES
    return say("{names} and {number} more", names=listed, number=f"{more:,}") if more > 0 else listed


_INSTANTS = ("made_at", "ends_at", "earliest_at", "latest_at")


def tell_forecast(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON can hold it."""
    told = asdict(forecast)
    return told | {name: told[name] and told[name].isoformat() for name in _INSTANTS}


def read_forecast(told: Mapping[str, Any]) -> Forecast:
    """Return the forecast that was told so, perhaps by another version with other fields."""
    known = {each.name: told[each.name] for each in fields(Forecast) if each.name in told}
    instants = {name: datetime.fromisoformat(told[name]) for name in _INSTANTS if told.get(name)}
    return Forecast(**{**known, **instants})


def forget_end(told: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return what is left of a forecast when another run begins: what was learned, without an end."""
    return tell_forecast(Forecast(made_at=now, why_not=NOT_MADE, durations=read_forecast(told).durations))


def make_forecast(facts: ForecastFacts) -> Forecast:
    """Return when an experiment is expected to end."""
    made_at = datetime.fromtimestamp(facts.now, UTC)
    left = [place for place, job in enumerate(facts.jobs) if job.status not in DONE]
    why_not = _find_obstacle(facts)
    if why_not:
        return Forecast(made_at=made_at, why_not=why_not, jobs_left=len(left), durations=facts.remembered)
    edges = facts.edges or ()
    failed = [place for place, job in enumerate(facts.jobs) if job.status == "FAILED"]
    stuck = _find_behind(facts.jobs, edges, failed)
    learned = learn(facts.jobs, _find_ready(facts.jobs, edges), facts.remembered)
    sections = [*dict.fromkeys(facts.jobs[place].section for place in left)]
    known = Forecast(
        made_at=made_at,
        jobs_left=len(left),
        measured=sum(learned.jobs.values()),
        recalled=[one for one in sections if one not in learned.jobs and learned.get_run(one).measured],
        unmeasured=[one for one in sections if not learned.get_run(one).measured],
        condition=add(_tell_failed(facts.jobs, failed, len(stuck) - len(failed)), _tell_held(facts.jobs, edges, stuck)),
        blocked=len(stuck) - len(failed) if failed else None,
        rate=_compute_rate(facts),
        durations=_remember(learned),
    )
    return _add_end(known, facts, [place for place in left if place not in stuck], learned)


def _find_obstacle(facts: ForecastFacts) -> str:
    """Return why nothing can be said of the end; blank if something can."""
    if not facts.is_running:
        return NOTHING_RUNS
    if facts.halted:
        return facts.halted
    if not facts.total:
        return NO_JOBS
    if facts.total > MOST_JOBS:
        return say("There are more than {most} jobs.", most=f"{MOST_JOBS:,}")
    return NO_EDGES if facts.edges is None else ""


def _find_ready(jobs: Sequence[ForecastJob], edges: Iterable[Edge]) -> list[float | None]:
    """Return when the last parent of each job ended; None without one, and while one has not."""
    ready: list[float | None] = [None] * len(jobs)
    for parent, child in edges:
        ended, known = jobs[parent].finished_at, ready[child]
        if ended is not None and (known is None or ended > known):
            ready[child] = ended
    return ready


def _remember(learned: Durations) -> dict[str, list[float]]:
    measured = [(section, run.measured) for section, run in learned.runs.items() if run.measured]
    return {section: [*seconds[:MOST_REMEMBERED]] for section, seconds in measured[:MOST_SECTIONS]}


def _tell_failed(jobs: Sequence[ForecastJob], failed: Sequence[int], waiting: int) -> str:
    """Say which jobs have failed for good, and how many wait for them."""
    if not failed:
        return ""
    these = _tell_jobs(jobs, failed)
    if not waiting:
        return say("The run ends without {jobs}, which cannot go on.", jobs=these)
    form = marked("The run stops without finishing: {jobs} cannot go on; {number} jobs wait for that.")
    return say(form, jobs=these, number=f"{waiting:,}")


def _tell_held(jobs: Sequence[ForecastJob], edges: Sequence[Edge], stuck: Container[int]) -> str:
    """Say which jobs must be set right for the others to go on, besides those that are stuck anyhow."""
    held = [place for place, job in enumerate(jobs) if job.status in HELD and place not in stuck]
    if not held:
        return ""
    these, waiting = _tell_jobs(jobs, held), len(_find_behind(jobs, edges, held)) - len(held)
    if not waiting:
        return say("It ends only if {jobs} can go on.", jobs=these)
    return say("It ends only if {jobs} can go on; {number} jobs wait for that.", jobs=these, number=f"{waiting:,}")


def _tell_jobs(jobs: Sequence[ForecastJob], places: Sequence[int]) -> str:
    job, more = jobs[places[0]], len(places) - 1
    first = say("{job} ({status})", job=job.name, status=job.status)
    if not more:
        return first
    return say("{jobs} and {number} more that ended badly or are held", jobs=first, number=f"{more:,}")


def _find_behind(jobs: Sequence[ForecastJob], edges: Sequence[Edge], places: Sequence[int]) -> set[int]:
    """Return these jobs, and all that wait for them, directly or not."""
    if not places:
        return set()
    children = list_children(len(jobs), edges)
    seen, found = set(places), [*places]
    for place in found:  # which grows
        later = [child for child in children[place] if child not in seen]
        seen.update(later)
        found += later
    return seen


def _compute_rate(facts: ForecastFacts) -> float | None:
    """Return how many jobs were done in an hour of this run, of its last day; None while that is no fair base.

    Where it is not known when the run began it counts from its first job.
    """
    ended = [job.finished_at for job in facts.jobs if job.finished_at is not None and job.status == "COMPLETED"]
    began = facts.began_at or min((job.started_at for job in facts.jobs if job.started_at), default=facts.now)
    since = max(facts.now - RATE_SECONDS, began)
    lately, seconds = sum(at >= since for at in ended), facts.now - since
    if lately < LEAST_RATE_JOBS or seconds < LEAST_RATE_SECONDS:
        return None
    return round(3600 * lately / seconds, 2)


def _add_end(known: Forecast, facts: ForecastFacts, left: Sequence[int], learned: Durations) -> Forecast:
    """Return the forecast with the end, or with why there is none. `left` are the jobs that can go on."""
    places = {place: number for number, place in enumerate(left)}
    rest = _expect_each((facts.jobs[place] for place in left), learned, facts.now)
    edges = [(places[one], places[other]) for one, other in facts.edges or () if one in places and other in places]
    if not left:
        return _set_end(known, 0.0, (0.0, 0.0), {})
    if not learned.runs:
        return replace(known, why_not=NOTHING_MEASURED)
    ends = play(rest, edges, facts.limits)
    if any(at is None for at in ends.at):
        return replace(known, why_not=IN_CIRCLE)
    numbers = ends.find_path()
    path = [facts.jobs[left[number]] for number in numbers]
    if gap := _find_gap(path, learned, facts.now):
        return replace(known, why_not=gap)
    seconds = max(at for at in ends.at if at is not None)
    spread = _compute_spread(path, [rest[number] for number in numbers], learned, facts.now, seconds)
    return _set_end(known, seconds, spread, dict(Counter(job.section for job in path)))


def _find_gap(path: Sequence[ForecastJob], learned: Durations, now: float) -> str:
    """Return why nothing can be said of a way to the end; blank if something can.

    Jobs of which nothing is known are no gap where they come later and are few.
    """
    unknown = [job for job in path if job.section not in learned.runs]
    is_most = 2 * len(unknown) > len(path) or not any(run.measured for run in learned.runs.values())
    for job in unknown:
        if is_most or job.status in ACTIVE:
            return say("Nothing is known of {section} yet: no job of it has ended.", section=job.section)
    for job in path:
        if job.status == "RUNNING" and learned.get_run(job.section).is_exceeded(now - _get_begin(job, now)):
            return say("{job} runs for longer than all that was expected of it.", job=job.name)
    return ""


def _get_begin(job: ForecastJob, now: float) -> float:
    """Return when a running job began, as it is recorded or was seen."""
    return job.started_at or job.active_since or now


def _expect_each(jobs: Iterable[ForecastJob], learned: Durations, now: float) -> list[Left]:
    """Return what is left of each job; of those that were not sent it is the same in a section."""
    unsent: dict[tuple[str, str], Left] = {}
    found = []
    for job in jobs:
        if job.status in ACTIVE:
            found.append(_expect_active(job, learned, now))
            continue
        sort = (job.section, job.platform)
        if sort not in unsent:
            wait = learned.get_wait(*sort).expected
            unsent[sort] = Left(job.platform, learned.between + wait, _expect_run(job, learned))
        found.append(unsent[sort])
    return found


def _expect_run(job: ForecastJob, learned: Durations) -> float:
    """Return how long a job runs, with how often one of its section is tried again."""
    run, wait = learned.get_run(job.section).expected, learned.get_wait(job.section, job.platform).expected
    return run + learned.retries.get(job.section, 0.0) * (wait + run)


def _expect_active(job: ForecastJob, learned: Durations, now: float) -> Left:
    wait, run = learned.get_wait(job.section, job.platform), learned.get_run(job.section)
    if job.status == "RUNNING":
        again = _expect_run(job, learned) - run.expected
        rest = run.expect_rest(now - _get_begin(job, now)) + again
        return Left(job.platform, 0.0, rest, is_sent=True, is_begun=True)
    sent = job.submitted_at or job.active_since or now
    return Left(job.platform, wait.expect_rest(now - sent), _expect_run(job, learned), is_sent=True)


def _compute_spread(
    path: Sequence[ForecastJob], rest: Sequence[Left], learned: Durations, now: float, seconds: float
) -> tuple[float, float]:
    """Return how much sooner and later the end may be, for the jobs on the way there and what is left of each.

    Jobs differ, which partly evens out along a path; that the middle is learned from few does not. A job of a section
    that is guessed takes from nothing to all of its wallclock: where all of them are, little else is known.
    """
    sooner, later = _bound_guesses(path, rest, learned, now)
    is_measured = any(learned.get_run(job.section).measured for job in path)
    variance = (_COMMON * seconds) ** 2 if is_measured else 0.0
    for (section, platform), number in Counter((job.section, job.platform) for job in path).items():
        for duration in (learned.get_run(section), learned.get_wait(section, platform)):
            of_middle = number / max(1, len(duration.measured))
            variance += number * duration.spread**2 * (1 + of_middle)
    within = float(_WITHIN * variance**0.5)
    return min(seconds, within + sooner), within + later


def _bound_guesses(
    path: Iterable[ForecastJob], rest: Iterable[Left], learned: Durations, now: float
) -> tuple[float, float]:
    """Return how much sooner and later the guessed jobs of a path may end within their wallclocks."""
    sooner = later = 0.0
    for job, left in zip(path, rest, strict=True):
        most = learned.get_run(job.section).most
        if most is not None:
            elapsed = now - _get_begin(job, now) if job.status == "RUNNING" else 0.0
            sooner += left.run
            later += max(0.0, most - elapsed - left.run)
    return sooner, later


def _set_end(known: Forecast, seconds: float, spread: tuple[float, float], path: Mapping[str, int]) -> Forecast:
    ends_at = known.made_at + timedelta(seconds=seconds)
    sooner, later = (timedelta(seconds=each) for each in spread)
    return replace(known, ends_at=ends_at, earliest_at=ends_at - sooner, latest_at=ends_at + later, path=path)
