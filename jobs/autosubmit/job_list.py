"""The job list of an experiment, as Autosubmit keeps it, and the edges between its jobs.

| Autosubmit | where | form |
| --- | --- | --- |
| 3.x, 4.0, 4.1 | `pkl/job_list_<expid>.pkl` | a pickle in one of four forms: see `jobs.autosubmit.pickles.formats` |
| 4.1 with `STORAGE.TYPE: db` | `pkl/job_list_<expid>.db`, table `job_pkl` | the same pickle in a SQLite file |
| 4.2 | `db/job_list.db`, table `jobs` | a row for each job |
| 4.1, 4.2 with PostgreSQL | tables `job_pkl` and `<expid>.jobs` | the same tables |

Which one there is is seen from what is found. A pickle is read as data, by a process with limits: see
`jobs.autosubmit.pickles.client`. Since other local users may write the files, every value is checked for its type.
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from jobs.autosubmit.database import SQLITE_MAGIC, Source, UnreadableDatabase, each_row, opened, rows, tables
from jobs.autosubmit.pickles.client import decoder
from jobs.autosubmit.pickles.formats import COLUMNS, require_mirrored
from jobs.autosubmit.pickles.unpickler import Refused
from jobs.autosubmit.values import count, identifier, number, text, word

# The numbers of autosubmit.job.job_common.Status; a test compares them with the installed Autosubmit.
STATUS_BY_NUMBER: dict[int, str] = {
    -3: "SUSPENDED",
    -2: "UNKNOWN",
    -1: "FAILED",
    0: "WAITING",
    1: "READY",
    2: "SUBMITTED",
    3: "QUEUING",
    4: "RUNNING",
    5: "COMPLETED",
    6: "HELD",
    7: "PREPARED",
    8: "SKIPPED",
    9: "DELAYED",
}
STATUSES: tuple[str, ...] = tuple(STATUS_BY_NUMBER.values())

LONGEST_NAME = 250
"""A name cut short could be that of another job; Autosubmit makes files of names, which cannot be longer."""

MAX_BYTES = 384 * 1024 * 1024
"""500,000 jobs take about 290 MB; a larger file than this is not loaded."""


class UnreadableJobList(Exception):
    """A job list, or its edges, cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as the job list has it.

    What a job does not have is an empty text or None. `remote_id` is the platform's number of the job. `wallclock` is
    "hh:mm", `processors` is what the configuration says. Logs are bare file names; the history has them more reliably.
    `wrapper` stands elsewhere: see `jobs.autosubmit.wrappers`.
    """

    name: str
    status: str
    section: str
    date: datetime | None
    member: str
    chunk: int | None
    split: int | None
    splits: int | None
    priority: int
    platform: str
    remote_id: int | None
    wallclock: str
    processors: str
    out_log: str
    err_log: str
    out_log_remote: str
    err_log_remote: str
    fail_count: int
    wrapper: str = ""


Decoded = dict[bytes, JobRecord]
"""The jobs of a pickle by what the decoder said of them."""


@dataclass(frozen=True, slots=True)
class JobList:
    """The jobs in the order of the file, and as (parent, child) those edges that stand in the list itself.

    `decoded` is of use when the list is read again, where it was asked for.
    """

    jobs: list[JobRecord] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)
    decoded: Decoded | None = field(default=None, compare=False)


def read_job_list(source: Source, known: Decoded | None = None) -> JobList:
    """Return the job list that a file or a schema of PostgreSQL holds.

    With `known`, what was decoded before, a job of which a pickle says the same again is the same record. Raises
    FileNotFoundError when there is no job list yet, UnreadableJobList for everything else that can go wrong: no right
    to read, a file cut short, a locked database, an unknown form, a pickle that names anything but data.
    """
    try:
        if isinstance(source, Path) and not _is_database(source):
            return _in_file(source, known)
        return _in_database(source, known)
    except FileNotFoundError:
        raise
    except (Refused, UnreadableDatabase, OSError) as error:
        raise UnreadableJobList(f"The job list {source} cannot be read: {error}.") from error


def read_dependencies(source: Source) -> list[tuple[str, str]] | None:
    """Return the edges between jobs as (parent, child); None if there is no such file or table, or nothing in it.

    A job without any edge stands there as an edge to itself, which is left out. Raises UnreadableJobList when the
    database is broken, or locked for long.
    """
    names: dict[str, str] = {}  # each is said for every edge that it has
    edges, has_rows = [], False
    try:
        for row in each_row(source, "experiment_structure", ("e_from", "e_to")):
            has_rows = True
            parent, child = text(row.get("e_from")), text(row.get("e_to"))
            if parent != child:
                edges.append((names.setdefault(parent, parent), names.setdefault(child, child)))
    except FileNotFoundError:
        return None
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableJobList(f"The edges in {source} cannot be read: {error}.") from error
    return edges if has_rows else None


def _is_database(path: Path) -> bool:
    with opened(path) as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _in_file(path: Path, known: Decoded | None) -> JobList:
    with opened(path) as file:
        return _decoded(file, os.fstat(file.fileno()).st_size, known)


def _in_database(source: Source, known: Decoded | None) -> JobList:
    """4.2: a row for each job, its status by name. 4.1 with `STORAGE.TYPE: db`: the pickle in a row."""
    if "jobs" in tables(source):
        found = rows(source, "jobs", COLUMNS)
        require_mirrored(len(found))
        return JobList([_job_of_row(row) for row in found])
    (row, *_) = rows(source, "job_pkl", ("pkl",)) or [{}]
    data = row.get("pkl")
    if not isinstance(data, bytes):
        raise FileNotFoundError(f"There is no job list in {source} yet.")
    return _decoded(io.BytesIO(data), len(data), known)


def _decoded(pickle: IO[bytes], length: int, known: Decoded | None) -> JobList:
    if length > MAX_BYTES:
        raise Refused(f"it has {length:,} bytes, and the portal reads at most {MAX_BYTES:,}")
    job_list = JobList(decoded=None if known is None else {})
    for line in decoder.decode(pickle, length):
        record = known.get(line) if known else None
        if record is None:
            value = json.loads(line)
            if isinstance(value, dict):
                job_list.edges.extend((text(parent), text(child)) for parent, child in value["edges"])
                continue
            record = _job_of_row(dict(zip(COLUMNS, value, strict=True)))
        job_list.jobs.append(record)
        if job_list.decoded is not None:
            job_list.decoded[line] = record
    return job_list


def _job_of_row(row: Mapping[str, object]) -> JobRecord:
    return JobRecord(
        name=_name(row.get("name")),
        status=_status(row.get("status")),
        section=word(row.get("section")),
        date=_date(row.get("date")),
        member=word(row.get("member")),
        chunk=_ordinal(row.get("chunk")),
        split=_ordinal(row.get("split")),
        splits=_ordinal(row.get("splits")),
        priority=number(row.get("priority")),
        platform=word(row.get("platform_name")),
        remote_id=identifier(row.get("id")),
        wallclock=word(row.get("wallclock")),
        processors=word(row.get("processors")),
        out_log=text(row.get("local_logs_out")),
        err_log=text(row.get("local_logs_err")),
        out_log_remote=text(row.get("remote_logs_out")),
        err_log_remote=text(row.get("remote_logs_err")),
        fail_count=count(row.get("fail_count")),
    )


def _name(value: object) -> str:
    name = text(value)
    if not name:
        raise Refused("unknown form of job list: a job without a name")
    if len(name) > LONGEST_NAME:
        raise Refused(f"a job has a name of more than {LONGEST_NAME} characters")
    return name


def _status(value: object) -> str:
    """Return the name of a status, given by number in a pickle and by name in a database."""
    name = STATUS_BY_NUMBER.get(value) if isinstance(value, int) else value
    return name if isinstance(name, str) and name in STATUSES else "UNKNOWN"


def _ordinal(value: object) -> int | None:
    """Return the number of a chunk or split; Autosubmit says None, 0 or -1 for "has none"."""
    ordinal = number(value)
    return ordinal if ordinal > 0 else None


def _date(value: object) -> datetime | None:
    """Return a start date, given as ISO text without a zone, as UTC."""
    try:
        return datetime.fromisoformat(text(value)).replace(tzinfo=UTC)
    except ValueError:
        return None
