"""The attempts at a job, as its page lists them, and which log is of which."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from autosubmit_portal.console.parts.presentation import translate
from experiments.autosubmit.store import BrokenStore
from experiments.past_attempts import read_job_attempts
from jobs.autosubmit.history import JobAttempt, UnreadableHistory, read_instant
from jobs.autosubmit.logs.reader import LogFile, is_log_of
from jobs.models import Job

MOST_SHOWN = 50

Files = Sequence[tuple[LogFile, str]]
"""Logs, and where each is opened."""


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """One attempt: its number from 1, what the history says of it, and its logs by kind, with where each is opened."""

    number: int
    attempt: JobAttempt
    logs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def submitted_at(self) -> datetime | None:
        """When it was sent."""
        return read_instant(self.attempt.submit)

    @property
    def started_at(self) -> datetime | None:
        """When it began."""
        return read_instant(self.attempt.start)

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        return read_instant(self.attempt.finish)


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts, the newest first, how many older ones are left out, and which of them a log is of, by its name.

    There are none where one is all: the page says that anyway. `problem` says why they cannot be read.
    """

    rows: list[ShownAttempt] = field(default_factory=list)
    left_out: int = 0
    of_log: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def list_attempts(job: Job, files: Files) -> Attempts:
    """Return the attempts at a job that has left these logs; nothing while the site is silent, which the logs say."""
    if not files:
        return Attempts()
    try:
        found = read_job_attempts(job.experiment, job.name)
    except UnreadableHistory as error:
        return Attempts(problem=translate(error))
    except BrokenStore:
        return Attempts()
    return _arrange(found, files) if len(found) > 1 else Attempts()


def _arrange(found: Sequence[JobAttempt], files: Files) -> Attempts:
    numbered = [ShownAttempt(number, attempt) for number, attempt in enumerate(found, 1)][::-1]
    of_log: dict[str, int] = {}
    for file, address in files:
        shown = next((one for one in numbered if _is_of(file, one.attempt)), None)
        if shown:
            shown.logs.append((file.kind, address))
            of_log[file.name] = shown.number
    return Attempts(numbered[:MOST_SHOWN], len(numbered[MOST_SHOWN:]), of_log)


def _is_of(file: LogFile, attempt: JobAttempt) -> bool:
    recorded = (name for name in (attempt.out_log, attempt.err_log) if name)
    return any(is_log_of(file.name, name) for name in recorded)
