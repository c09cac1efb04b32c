"""What the rules are told of an experiment and of the process of its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job that is on a platform: since when it was seen in its status, and its wallclock in seconds if it has one."""

    name: str
    status: str
    since: datetime
    wallclock_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """An experiment as it is `now`.

    `disagreement` is what contradicts the evidence since `disagrees_since`; `is_dead` says that it means a run whose
    process is gone. `process_state` is the letter of the kernel (proc(5)), blank where nobody tells it, and the process
    is seen in it since `state_since`. `alive_at` is the last sign of life of the run, None where none is known, and
    `seen_since` since when the run is seen at all. `sleep_seconds` is its SAFETYSLEEPTIME, None where it is not known.
    `ready_job` waits since `ready_since` although all of its parents are done. `ended_at` is when a job ended last.
    """

    now: datetime
    is_running: bool
    evidence: str = ""
    is_unseen: bool = False
    is_dead: bool = False
    disagreement: str = ""
    disagrees_since: datetime | None = None
    problem: str = ""
    problem_since: datetime | None = None
    process_state: str = ""
    state_since: datetime | None = None
    seen_since: datetime | None = None
    alive_at: datetime | None = None
    sleep_seconds: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    jobs: Sequence[ActiveJob] = ()
    ready_job: str = ""
    ready_since: datetime | None = None
    ended_at: datetime | None = None
