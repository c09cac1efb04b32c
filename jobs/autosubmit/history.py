"""The history that Autosubmit keeps of an experiment: its runs, and when each job was submitted, began and ended.

Source: `job_data_<expid>.db`, read on one short read-only connection. Its columns differ by version; those that exist
are read. Times there are seconds since 1970; zero and NULL mean "not yet".
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.autosubmit.database import rows

# Not `metadata`, the whole configuration as JSON, nor `platform_output`: they are long.
_RUN_COLUMNS = (
    "run_id start finish chunk_unit chunk_size completed total failed queuing running submitted suspended"
).split()
_JOB_COLUMNS = (
    "job_name run_id status submit start finish platform qos wallclock out err workflow_commit ncpus job_id"
).split()


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
    """The newest attempt at a job, a row of `job_data`; `wallclock` is "hh:mm", logs are bare file names."""

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


def read_runs(path: Path) -> list[RunRecord]:
    """Return the runs by their number, oldest first; none if there is no such file. Raises UnreadableHistory."""
    return [_run(row) for row in _read(path, "experiment_run", _RUN_COLUMNS, "ORDER BY run_id")]


def read_job_times(path: Path) -> dict[str, JobTimes]:
    """Return the newest attempt of each job by its name; none if there is no such file. Raises UnreadableHistory."""
    newest = "WHERE id IN (SELECT max(id) FROM job_data GROUP BY job_name)"
    return {times.name: times for times in map(_times, _read(path, "job_data", _JOB_COLUMNS, newest))}


def _read(path: Path, table: str, columns: Sequence[str], clause: str) -> list[dict[str, Any]]:
    try:
        return rows(path, table, columns, clause)
    except FileNotFoundError:
        return []
    except (sqlite3.Error, OSError) as error:
        raise UnreadableHistory(f"The history {path} cannot be read: {error}.") from error


def _run(row: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        run_id=_number(row.get("run_id")),
        started_at=_instant(row.get("start")),
        finished_at=_instant(row.get("finish")),
        chunk_unit=_text(row.get("chunk_unit")),
        chunk_size=_number(row.get("chunk_size")),
        completed=_number(row.get("completed")),
        total=_number(row.get("total")),
        failed=_number(row.get("failed")),
        queuing=_number(row.get("queuing")),
        running=_number(row.get("running")),
        submitted=_number(row.get("submitted")),
        suspended=_number(row.get("suspended")),
    )


def _times(row: Mapping[str, Any]) -> JobTimes:
    return JobTimes(
        name=_text(row.get("job_name")),
        run_id=_number(row.get("run_id")) or None,
        status=_text(row.get("status")),
        submitted_at=_instant(row.get("submit")),
        started_at=_instant(row.get("start")),
        finished_at=_instant(row.get("finish")),
        platform=_text(row.get("platform")),
        qos=_text(row.get("qos")),
        wallclock=_text(row.get("wallclock")),
        out_log=_text(row.get("out")),
        err_log=_text(row.get("err")),
        workflow_commit=_text(row.get("workflow_commit")),
        ncpus=_number(row.get("ncpus")),
        remote_id=_number(row.get("job_id")) or None,
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> int:
    """Read a count; SQLite keeps a column's type as a wish only, so that anything may stand there."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0


def _instant(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(_number(seconds), UTC) if _number(seconds) > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
