"""The history that Autosubmit keeps of an experiment: its runs, and when each job was submitted, began and ended.

Source: `job_data_<expid>.db`, or the same tables in PostgreSQL, read on one short read-only connection. Their columns
differ by version; those that exist are read. Times there are seconds since 1970; zero and NULL mean "not yet".
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.autosubmit.database import Source, UnreadableDatabase, rows
from jobs.autosubmit.postgres import Schema
from jobs.autosubmit.values import LARGEST_ID, YEAR_9999, count, identifier, moment, number, text, word

MAX_CONFIGURATION_CHARACTERS = 4_000_000
_LARGEST_ID = 2**31 - 1
# Not `metadata`, the whole configuration as JSON, nor `platform_output`: they are long.
_RUN_COLUMNS = (
    "run_id",
    "start",
    "finish",
    "chunk_unit",
    "chunk_size",
    "completed",
    "total",
    "failed",
    "queuing",
    "running",
    "submitted",
    "suspended",
)
_JOB_COLUMNS = (
    "id",
    "job_name",
    "run_id",
    "status",
    "submit",
    "start",
    "finish",
    "platform",
    "qos",
    "wallclock",
    "out",
    "err",
    "workflow_commit",
    "ncpus",
    "job_id",
    "fail_count",
)


# Autosubmit writes into the row of an attempt while it runs, and for a while after its end the names of its logs.
_SETTLED = timedelta(hours=1)


class UnreadableHistory(Exception):
    """The history of an experiment cannot be read now; the text says why."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of `experiment_run`. The counts are Autosubmit's own at its last look, not a truth about now."""

    run_id: int
    started_at: datetime | None
    finished_at: datetime | None
    chunk_unit: str
    chunk_size: int
    completed: int
    total: int
    failed: int
    queuing: int
    running: int
    submitted: int
    suspended: int


@dataclass(frozen=True, slots=True)
class JobTimes:
    """The newest attempt at a job, a row of `job_data`; `wallclock` is "hh:mm", logs are bare file names.

    `fail_count` is how often the job had failed before it, None where the version does not say.
    """

    name: str
    run_id: int | None
    status: str
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    platform: str
    qos: str
    wallclock: str
    out_log: str
    err_log: str
    workflow_commit: str
    ncpus: int
    remote_id: int | None
    fail_count: int | None = None


@dataclass(frozen=True, slots=True)
class Attempts:
    """The newest attempt of each job by its name, and from where on a history must be read to bring that up to date.

    A row before `since` does not change any more. `last` is the highest id and `inode` that of the file, by which
    another history is told; None where there is no file.
    """

    newest: dict[str, JobTimes]
    since: int = 0
    last: int = 0
    inode: int | None = None


def read_runs(source: Source) -> list[RunRecord]:
    """Return the runs by their number, oldest first; none if there are none. Raises UnreadableHistory."""
    return [_run(row) for row in _read(source, "experiment_run", _RUN_COLUMNS, "ORDER BY run_id")]


def read_job_times(source: Source) -> dict[str, JobTimes]:
    """Return the newest attempt of each job by its name; none if there are none. Raises UnreadableHistory."""
    return read_attempts(source).newest


def read_attempts(source: Source, known: Attempts | None = None) -> Attempts:
    """Return the newest attempts; with `known`, what was read before, only the rows that may be new or other since.

    Raises UnreadableHistory.
    """
    inode = _inode(source)
    if known is not None and known.last and inode is not None and inode == known.inode:
        later = f"WHERE id >= {min(known.since, known.last):d} ORDER BY id"
        found = _read(source, "job_data", _JOB_COLUMNS, later)
        if any(row.get("id") == known.last for row in found):
            return _attempts(found, known.newest, known.last, inode)
    newest = "WHERE id IN (SELECT max(id) FROM job_data GROUP BY job_name)"
    return _attempts(_read(source, "job_data", _JOB_COLUMNS, newest), {}, 0, inode)


def _attempts(
    rows: Sequence[Mapping[str, Any]], before: Mapping[str, JobTimes], last: int, inode: int | None
) -> Attempts:
    """Put rows, a later attempt after an earlier one, over those that are known."""
    newest, open_ids = dict(before), dict[str, int]()
    settled_before = datetime.now(UTC) - _SETTLED
    for row in rows:
        times, number_of_row = _times(row), number(row.get("id"), LARGEST_ID)
        newest[times.name] = times
        last = max(last, number_of_row)
        if times.finished_at is None or times.finished_at > settled_before:
            open_ids[times.name] = number_of_row
        else:
            open_ids.pop(times.name, None)
    return Attempts(newest, min(open_ids.values(), default=last + 1), last, inode)


def _inode(source: Source) -> int | None:
    try:
        return None if isinstance(source, Schema) else os.stat(source).st_ino
    except OSError:
        return None


def read_run_configuration(source: Source, run_id: int) -> str | None:
    """Return the configuration that a run was created with, as the JSON text that Autosubmit wrote.

    It is blank if Autosubmit wrote none, and None if there is no such run. Raises UnreadableHistory, also when it is
    too long to be read.
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
            f"The configuration of run {run_id} is longer than {MAX_CONFIGURATION_CHARACTERS:,} characters."
        )
    metadata = found[0].get("metadata")
    return metadata if isinstance(metadata, str) else ""


def _read(source: Source, table: str, columns: Sequence[str], clause: str) -> list[dict[str, Any]]:
    try:
        return rows(source, table, columns, clause)
    except FileNotFoundError:
        return []
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableHistory(f"The history {source} cannot be read: {error}.") from error


def _run(row: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        run_id=count(row.get("run_id")),
        started_at=_instant(row.get("start")),
        finished_at=_instant(row.get("finish")),
        chunk_unit=text(row.get("chunk_unit")),
        chunk_size=count(row.get("chunk_size")),
        completed=count(row.get("completed")),
        total=count(row.get("total")),
        failed=count(row.get("failed")),
        queuing=count(row.get("queuing")),
        running=count(row.get("running")),
        submitted=count(row.get("submitted")),
        suspended=count(row.get("suspended")),
    )


def _times(row: Mapping[str, Any]) -> JobTimes:
    return JobTimes(
        name=text(row.get("job_name")),
        run_id=count(row.get("run_id")) or None,
        status=word(row.get("status")),
        submitted_at=_instant(row.get("submit")),
        started_at=_instant(row.get("start")),
        finished_at=_instant(row.get("finish")),
        platform=_platform(row.get("platform")),
        qos=word(row.get("qos")),
        wallclock=word(row.get("wallclock")),
        out_log=text(row.get("out")),
        err_log=text(row.get("err")),
        workflow_commit=word(row.get("workflow_commit")),
        ncpus=count(row.get("ncpus")),
        remote_id=identifier(row.get("job_id")),
        fail_count=None if row.get("fail_count") is None else count(row["fail_count"]),
    )


def _platform(value: object) -> str:
    """Return the name of a platform; Autosubmit writes NA for none."""
    name = word(value)
    return "" if name == "NA" else name


def _instant(seconds: object) -> datetime | None:
    since_1970 = number(seconds, YEAR_9999)
    return moment(since_1970) if since_1970 > 0 else None
