"""What a forecast is told of an experiment. Instants and durations are in seconds, instants since 1970."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.pictures.picture import Edge


class ForecastJob(NamedTuple):
    """A job with the instants of its newest attempt.

    `failures` is how often it had failed before. `active_since` is since when an active job was seen in its status.
    """

    name: str
    status: str
    section: str = ""
    platform: str = ""
    submitted_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    failures: int = 0
    wallclock: float | None = None
    active_since: float | None = None


class Limit(NamedTuple):
    """How many jobs Autosubmit has on a platform at most, and how many of them waiting; None for any number."""

    total: int | None = None
    waiting: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFacts:
    """An experiment as it is `now`.

    `total` is the number of jobs, `jobs` are empty where they need not be read. `edges` hold the places of a parent
    and its child in `jobs`; they are None where the store does not tell them. `limits` are by the name of the
    platform, and under a blank one for those without a limit of their own. `halted` says why a run that lives does
    nothing, blank if it does. `began_at` is when the process of the run began. `remembered` holds by section how long
    jobs took, as a forecast before has learned.
    """

    now: float
    is_running: bool
    total: int
    jobs: Sequence[ForecastJob]
    edges: Sequence[Edge] | None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    halted: str = ""
    began_at: float | None = None
    remembered: Mapping[str, Sequence[float]] = field(default_factory=dict)
