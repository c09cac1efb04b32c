"""The attempts at the jobs of an experiment, as its history has them, read by the agent of its site."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from autosubmit_portal.agent.protocol import ProtocolError
from experiments import reads
from experiments.models import Experiment
from jobs.autosubmit.history import MOST_JOB_ATTEMPTS, MOST_PAST_ATTEMPTS, JobAttempt, PastAttempt, UnreadableHistory
from jobs.autosubmit.records import list_columns

_Attempt = TypeVar("_Attempt", PastAttempt, JobAttempt)


def read_past_attempts(experiment: Experiment) -> list[PastAttempt]:
    """Return the attempts, the oldest first, of very many the newest. Raises UnreadableHistory and BrokenStore."""
    return _read(experiment, "attempts", {}, PastAttempt, MOST_PAST_ATTEMPTS)


def read_job_attempts(experiment: Experiment, job: str) -> list[JobAttempt]:
    """Return the attempts at a job by its name, as `read_past_attempts` does. Raises the same."""
    return _read(experiment, "job attempts", {"job": job}, JobAttempt, MOST_JOB_ATTEMPTS)


def _read(
    experiment: Experiment, what: str, arguments: Mapping[str, str], record: Callable[..., _Attempt], most: int
) -> list[_Attempt]:
    try:
        rows = reads.read_document(experiment, what, {**arguments}).get("attempts")
    except (reads.Missing, reads.Unreadable) as error:
        raise UnreadableHistory(str(error)) from error
    with reads.understand(experiment.site):
        if not isinstance(rows, list) or len(rows) > most:
            raise ProtocolError(f"“attempts” must be a list of at most {most:,}")
        return [_take_attempt(row, record) for row in rows]


def _take_attempt(row: object, record: Callable[..., _Attempt]) -> _Attempt:
    columns = list_columns(record)
    if not isinstance(row, list) or len(row) != len(columns):
        raise ProtocolError(f"an attempt must be a list of {len(columns)} values")
    return record(*(read(value) for read, value in zip(columns.values(), row, strict=True)))
