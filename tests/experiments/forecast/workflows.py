"""Workflows for tests of forecasts: jobs that take ten minutes, after a minute in the queue."""

from collections.abc import Sequence
from typing import Any

from experiments.forecast.facts import ForecastFacts, ForecastJob
from jobs.pictures.picture import Edge

NOW = 1_796_000_000.0
RUN, WAIT = 600.0, 60.0


def done(name: str, section: str = "SIM", ago: float = 0.0, **values: Any) -> ForecastJob:
    """Return a job that ended so long before now."""
    ended = NOW - ago
    job = ForecastJob(name, "COMPLETED", section, "MN5", ended - RUN - WAIT, ended - RUN, ended)
    return job._replace(**values)


def waiting(name: str, section: str = "SIM", **values: Any) -> ForecastJob:
    """Return a job that was not sent."""
    return ForecastJob(name, "WAITING", section, "MN5")._replace(**values)


def chain(*jobs: ForecastJob) -> tuple[list[ForecastJob], list[Edge]]:
    """Return jobs that wait for each other in a row."""
    return [*jobs], [(place, place + 1) for place in range(len(jobs) - 1)]


def facts(jobs: Sequence[ForecastJob], edges: Sequence[Edge] | None, **values: Any) -> ForecastFacts:
    """Return the facts of an experiment that runs."""
    defaults: dict[str, Any] = {"now": NOW, "is_running": True, "total": len(jobs), "jobs": jobs, "edges": edges}
    return ForecastFacts(**defaults | values)
