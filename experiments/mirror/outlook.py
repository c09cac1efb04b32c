"""Forecasts of when runs end, made from the rows of their jobs and written where they tell something new.

They are made here and not for a page: a large workflow takes longer to play through than anybody waits at a list.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from experiments.attention.alarm import Alarm
from experiments.forecast.facts import ForecastFacts, ForecastJob, Limit
from experiments.forecast.forecast import MOST_JOBS, Forecast, make_forecast, read_forecast, tell_forecast
from experiments.forecast.wallclock import find_told_wallclock
from experiments.models import Experiment
from experiments.seen_times import read_seen
from jobs.models import Job, JobDependency
from jobs.pictured import Seconds
from jobs.pictures.picture import Edge

LEAST_PAUSE_SECONDS = 15.0
"""Between two forecasts of a run; and at least so many times as long as the last one took."""

TIMES_COST = 50.0
MOST_SECONDS, TIMES_REST = 0.1, 20.0
"""So long they may take in one pass, then so many times as long none is made: a mirror has other things to do. What was
not made comes first the next time."""

OLD_SECONDS = 300.0
"""A forecast is made again after so long although no file has changed: jobs may take longer than was expected."""

HALTING = ("stopped", "disk_sleep", "stalled", "unseen")
"""Rules that find that a run does nothing, or that nobody knows whether it does."""

# An end that moves by less is none the wiser: each writing brings a new part to the open tabs.
_SAME, _SAME_SHARE = timedelta(seconds=60), 0.03
_TOLD = ("why_not", "condition", "blocked", "jobs_left", "measured", "recalled", "unmeasured")
_COLUMNS = ("name", "status", "section", "platform", "processors", "wallclock", "fail_count")
_INSTANTS = ("submitted_at", "started_at", "finished_at")


@dataclass(slots=True)
class _Made:
    """What a forecast was made of, and when the next one may be made, and when it must be (by the monotonic clock)."""

    refreshed_at: datetime | None
    halted: str
    due: float
    old: float


class Outlook:
    """What is remembered of the forecasts of a site. Without patience they are made each time."""

    def __init__(self, *, is_patient: bool = True) -> None:
        self.is_patient = is_patient
        self._running: dict[int, tuple[Experiment, str]] = {}
        self._made: dict[int, _Made] = {}
        self._rests_until = 0.0

    def keep(self, runs: Iterable[tuple[Experiment, Sequence[Alarm]]]) -> None:
        """Take what runs now, each experiment with its alarms, and make the forecasts that are due."""
        self._running = {experiment.pk: (experiment, _find_halt(alarms)) for experiment, alarms in runs}
        self._made = {key: made for key, made in self._made.items() if key in self._running}
        self.go_on()

    def go_on(self) -> None:
        """Make the forecasts that are due, unless it is too soon after others that took long."""
        began = time.monotonic()
        if self.is_patient and began < self._rests_until:
            return
        for key in sorted(self._running, key=lambda key: self._made[key].due if key in self._made else 0.0):
            if not self._is_due(*self._running[key]):
                continue
            self._make(*self._running[key])
            took = time.monotonic() - began
            self._rests_until = began + TIMES_REST * took
            if took > MOST_SECONDS:
                break

    def _is_due(self, experiment: Experiment, halted: str) -> bool:
        made, now = self._made.get(experiment.pk), time.monotonic()
        if made is None or not self.is_patient:
            return True
        is_changed = (made.refreshed_at, made.halted) != (experiment.refreshed_at, halted)
        return now >= (made.due if is_changed else made.old)

    def _make(self, experiment: Experiment, halted: str) -> None:
        began = time.monotonic()
        _write(experiment, make_forecast(read_facts(experiment, halted)))
        now = time.monotonic()
        pause = max(LEAST_PAUSE_SECONDS, TIMES_COST * (now - began))
        self._made[experiment.pk] = _Made(experiment.refreshed_at, halted, now + pause, now + max(OLD_SECONDS, pause))


def _find_halt(alarms: Iterable[Alarm]) -> str:
    return next((alarm.sentence for alarm in alarms if alarm.rule in HALTING), "")


def _write(experiment: Experiment, forecast: Forecast) -> None:
    if is_news(experiment.current_forecast if experiment.forecast else None, forecast):
        Experiment.objects.filter(pk=experiment.pk).update(forecast=tell_forecast(forecast))


def is_news(before: Forecast | None, now: Forecast) -> bool:
    """Answer whether a forecast says something that the one before did not."""
    if before is None or any(getattr(before, name) != getattr(now, name) for name in _TOLD):
        return True
    if now.ends_at is None or before.ends_at is None:
        return now.ends_at != before.ends_at
    return abs(now.ends_at - before.ends_at) > max(_SAME, _SAME_SHARE * (now.ends_at - now.made_at))


def read_facts(experiment: Experiment, halted: str = "") -> ForecastFacts:
    """Return what a forecast of an experiment is made of. Two queries; none of the jobs where they are too many."""
    is_read = 0 < experiment.total_jobs <= MOST_JOBS and not halted
    jobs = _read_jobs(experiment) if is_read else {}
    edges = _read_edges(experiment, [*jobs]) if is_read and experiment.are_edges_known else None
    limits = {name: Limit(limit.get("total"), limit.get("waiting")) for name, limit in experiment.limits.items()}
    return ForecastFacts(
        now=time.time(),
        is_running=experiment.is_running,
        total=experiment.total_jobs,
        jobs=[*jobs.values()],
        edges=edges,
        limits=limits,
        halted=halted,
        began_at=experiment.run_began_at.timestamp() if experiment.run_began_at else None,
        remembered=read_forecast(experiment.forecast).durations if experiment.forecast else {},
    )


def _read_jobs(experiment: Experiment) -> dict[int, ForecastJob]:
    """Return the jobs by their keys, in the order of the job list."""
    columns: list[Any] = [*map(F, ("pk", *_COLUMNS)), *map(Seconds, _INSTANTS)]
    rows: Any = Job.objects.filter(experiment=experiment).order_by("pk").values_list(*columns)
    since = {name: at.timestamp() for name, (_, at) in read_seen(experiment).items()}
    plans = {section: _Plan(plan) for section, plan in experiment.plans.items()}
    return {key: _make_job(row, plans, since) for key, *row in rows}


class _Plan:
    """What the jobs of a section are to be sent with, read once for all of them."""

    def __init__(self, plan: dict[str, str]) -> None:
        self.platform = plan.get("platform", "").upper()
        self.wallclock = find_told_wallclock(plan.get("wallclock", ""), plan.get("processors", ""))


_UNPLANNED = _Plan({})


def _make_job(row: Sequence[Any], plans: dict[str, _Plan], since: dict[str, float]) -> ForecastJob:
    name, status, section, platform, processors, wallclock, failures, submitted_at, started_at, finished_at = row
    plan = plans.get(section.upper(), _UNPLANNED)
    return ForecastJob(
        name,
        status,
        section,
        platform.upper() or plan.platform,
        submitted_at,
        started_at,
        finished_at,
        failures,
        find_told_wallclock(wallclock, processors) if wallclock else plan.wallclock,
        since.get(name),
    )


def _read_edges(experiment: Experiment, keys: Sequence[int]) -> list[Edge]:
    places = {key: place for place, key in enumerate(keys)}
    pairs = JobDependency.objects.filter(parent__experiment=experiment).values_list("parent_id", "child_id")
    return [(places[parent], places[child]) for parent, child in pairs if parent in places and child in places]
