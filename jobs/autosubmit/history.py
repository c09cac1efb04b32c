"""Autosubmit's history of an experiment: its runs, and when each job was submitted, started and finished.

Source: `job_data_<expid>.db`, or the same tables in PostgreSQL, read on one short read-only connection. Their columns
differ by version; those that exist are read. Times there are seconds since 1970; zero and NULL mean "not yet".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from autosubmit_portal.sentences import say
from jobs.autosubmit.database import Source, UnreadableDatabase, read_rows
from jobs.autosubmit.records import Column, list_columns, read_record
from jobs.autosubmit.values import (
    LARGEST_ID,
    YEAR_9999,
    to_count,
    to_identifier,
    to_moment,
    to_number,
    to_text,
    to_word,
)

MAX_CONFIGURATION_CHARACTERS = 4_000_000
_LARGEST_ID = 2**31 - 1


class UnreadableHistory(Exception):
    """The history of an experiment cannot be read now; the text says why."""


def read_instant(seconds: object) -> datetime | None:
    """Return seconds since 1970 as a datetime; None for zero, NULL and other values: not yet."""
    since_1970 = to_number(seconds, YEAR_9999)
    return to_moment(since_1970) if since_1970 > 0 else None


def read_platform(value: object) -> str:
    """Return the name of a platform; Autosubmit writes NA for none."""
    name = to_word(value)
    return "" if name == "NA" else name


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of `experiment_run`, without the long columns `metadata` and `platform_output`.

    The counts are from Autosubmit's last look, and may be out of date.
    """

    run_id: Annotated[int, Column(to_count)]
    started_at: Annotated[datetime | None, Column(read_instant, "start")]
    finished_at: Annotated[datetime | None, Column(read_instant, "finish")]
    chunk_unit: Annotated[str, Column(to_text)]
    chunk_size: Annotated[int, Column(to_count)]
    completed: Annotated[int, Column(to_count)]
    total: Annotated[int, Column(to_count)]
    failed: Annotated[int, Column(to_count)]
    queuing: Annotated[int, Column(to_count)]
    running: Annotated[int, Column(to_count)]
    submitted: Annotated[int, Column(to_count)]
    suspended: Annotated[int, Column(to_count)]


@dataclass(frozen=True, slots=True)
class JobTimes:
    """The newest attempt at a job, a row of `job_data`; `wallclock` is "hh:mm", logs are bare file names.

    `fail_count` is how often the job had failed before it, None where the version does not say.
    """

    name: Annotated[str, Column(to_text, "job_name")]
    run_id: Annotated[int | None, Column(lambda value: to_count(value) or None)]
    status: Annotated[str, Column(to_word)]
    submitted_at: Annotated[datetime | None, Column(read_instant, "submit")]
    started_at: Annotated[datetime | None, Column(read_instant, "start")]
    finished_at: Annotated[datetime | None, Column(read_instant, "finish")]
    platform: Annotated[str, Column(read_platform)]
    qos: Annotated[str, Column(to_word)]
    wallclock: Annotated[str, Column(to_word)]
    out_log: Annotated[str, Column(to_text, "out")]
    err_log: Annotated[str, Column(to_text, "err")]
    workflow_commit: Annotated[str, Column(to_word)]
    ncpus: Annotated[int, Column(to_count)]
    remote_id: Annotated[int | None, Column(to_identifier, "job_id")]
    fail_count: Annotated[int | None, Column(lambda value: None if value is None else to_count(value))] = None


def _to_energy(value: object) -> int:
    return max(0, to_number(value, LARGEST_ID))


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One attempt at a job, a row of `job_data`: instants in seconds since 1970 (0: not yet), energy in joules."""

    name: Annotated[str, Column(to_word, "job_name")]
    run_id: Annotated[int, Column(to_count)]
    status: Annotated[str, Column(to_word)]
    submit: Annotated[int, Column(lambda value: max(0, to_number(value, YEAR_9999)))]
    start: Annotated[int, Column(lambda value: max(0, to_number(value, YEAR_9999)))]
    finish: Annotated[int, Column(lambda value: max(0, to_number(value, YEAR_9999)))]
    ncpus: Annotated[int, Column(to_count)]
    energy: Annotated[int, Column(_to_energy)]

    @property
    def queue_seconds(self) -> int:
        """How long it waited; 0 if it did not begin."""
        return max(0, self.start - self.submit) if self.submit and self.start else 0

    @property
    def run_seconds(self) -> int:
        """How long it ran; 0 if it did not end."""
        return max(0, self.finish - self.start) if self.start and self.finish else 0


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One attempt at a certain job, a row of `job_data`: instants as of `PastAttempt`, logs are bare file names."""

    run_id: Annotated[int, Column(to_count)]
    status: Annotated[str, Column(to_word)]
    submit: Annotated[int, Column(lambda value: max(0, to_number(value, YEAR_9999)))]
    start: Annotated[int, Column(lambda value: max(0, to_number(value, YEAR_9999)))]
    finish: Annotated[int, Column(lambda value: max(0, to_number(value, YEAR_9999)))]
    remote_id: Annotated[int | None, Column(to_identifier, "job_id")]
    out_log: Annotated[str, Column(to_text, "out")]
    err_log: Annotated[str, Column(to_text, "err")]


MOST_PAST_ATTEMPTS = 100_000
"""Of more only the newest are read: an answer holds all at once."""

MOST_JOB_ATTEMPTS = 1_000
"""The same of the attempts at one job."""

# Not `metadata`, the whole configuration as JSON, nor `platform_output`: they are long.
TIMES_COLUMNS = tuple(list_columns(JobTimes))
_NEWEST = "WHERE id IN (SELECT max(id) FROM job_data GROUP BY job_name)"


def read_runs(source: Source) -> list[RunRecord]:
    """Return the runs by their number, oldest first; none if there are none. Raises UnreadableHistory."""
    found = _read(source, "experiment_run", [*list_columns(RunRecord)], "ORDER BY run_id")
    return [read_record(RunRecord, row) for row in found]


def read_past_attempts(source: Source) -> list[PastAttempt]:
    """Return the attempts at all jobs, the oldest first, at most MOST_PAST_ATTEMPTS. Raises UnreadableHistory."""
    newest = f"ORDER BY id DESC LIMIT {MOST_PAST_ATTEMPTS}"
    found = _read(source, "job_data", [*list_columns(PastAttempt)], newest)
    return [read_record(PastAttempt, row) for row in reversed(found)]


def read_job_attempts(source: Source, job: str) -> list[JobAttempt]:
    """Return the attempts at a job, the oldest first, at most MOST_JOB_ATTEMPTS. Raises UnreadableHistory."""
    newest = f"WHERE job_name = ? ORDER BY id DESC LIMIT {MOST_JOB_ATTEMPTS}"
    found = _read(source, "job_data", [*list_columns(JobAttempt)], newest, [job])
    return [read_record(JobAttempt, row) for row in reversed(found)]


def read_newest_rows(source: Source) -> dict[str, tuple[Any, ...]]:
    """Return the row of the newest attempt at each job, by its name: of it `make_times` is made. Raises the same."""
    found = _read(source, "job_data", TIMES_COLUMNS, _NEWEST)
    return {to_text(row.get("job_name")): tuple(map(row.get, TIMES_COLUMNS)) for row in found}


def make_times(row: Sequence[Any]) -> JobTimes:
    """Return the attempt of such a row."""
    return read_record(JobTimes, dict(zip(TIMES_COLUMNS, row, strict=True)))


def read_run_configuration(source: Source, run_id: int) -> str | None:
    """Return the configuration that a run was created with, as the JSON text that Autosubmit wrote.

    It is blank if Autosubmit wrote none, and None if there is no such run. Raises UnreadableHistory, also if it is too
    long.
    """
    if not 0 <= run_id <= _LARGEST_ID:
        return None
    run = f"WHERE run_id = {run_id:d}"
    fitting = f"{run} AND length(coalesce(metadata, '')) <= {MAX_CONFIGURATION_CHARACTERS}"
    found = _read(source, "experiment_run", ("metadata",), fitting)
    if not found:
        if not _read(source, "experiment_run", ("run_id",), run):
            return None
        raise UnreadableHistory(
            say(
                "The configuration of run {run_id} is longer than {most} characters.",
                run_id=run_id,
                most=f"{MAX_CONFIGURATION_CHARACTERS:,}",
            )
        )
    metadata = found[0].get("metadata")
    return metadata if isinstance(metadata, str) else ""


def _read(
    source: Source, table: str, columns: Sequence[str], clause: str, values: Sequence[str] = ()
) -> list[dict[str, Any]]:
    try:
        return read_rows(source, table, columns, clause, values)
    except FileNotFoundError:
        return []
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableHistory(
            say("The history {source} cannot be read: {error}.", source=source, error=error)
        ) from error
