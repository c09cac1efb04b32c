"""The job list of an experiment, as Autosubmit keeps it on disk, and the edges between its jobs.

| Autosubmit | file | form |
| --- | --- | --- |
| 3.x, 4.0 | `pkl/job_list_<expid>.pkl` | pickled list of tuples |
| 4.1.9 to 4.1.11 | the same | pickled graph with a Job in each node |
| 4.1.12 to 4.1.17 | the same | pickled dict: job name to dict of attributes |
| 4.2 | `db/job_list.db` | SQLite, table `jobs` |

Which one a file has is seen from the file itself. A pickle is read as data: see `jobs.autosubmit.pickled`. Since other
local users may write the file, every value taken from it is checked for its type.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.autosubmit import pickled
from jobs.autosubmit.database import rows
from jobs.autosubmit.values import count, identifier, number, text

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

MAX_BYTES = 256 * 1024 * 1024
"""10,000 jobs take about 6 MB; a larger file than this is no job list."""

_SQLITE_MAGIC = b"SQLite format 3\0"
_COLUMNS = (
    "name",
    "status",
    "section",
    "date",
    "member",
    "chunk",
    "split",
    "splits",
    "priority",
    "platform_name",
    "id",
    "wallclock",
    "local_logs_out",
    "local_logs_err",
    "remote_logs_out",
    "remote_logs_err",
    "fail_count",
)


class UnreadableJobList(Exception):
    """A job list, or its edges, cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as the job list has it.

    What a job does not have is an empty text or None. `remote_id` is the platform's number of the job. `wallclock` is
    "hh:mm", `processors` is what the configuration says. Logs are bare file names; the history has them more reliably.
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


def read_job_list(path: Path) -> list[JobRecord]:
    """Return the jobs in the order of the file.

    Raises FileNotFoundError when there is no job list yet, UnreadableJobList for everything else that can go wrong:
    no right to read, a file cut short, an unknown form, a pickle that names anything but data.
    """
    try:
        data = _read_bytes(path)
        return _jobs_in_database(path) if data.startswith(_SQLITE_MAGIC) else _jobs_in(pickled.load(data))
    except pickled.Refused as refusal:
        raise UnreadableJobList(f"The job list {path} cannot be read: {refusal}.") from refusal
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UnreadableJobList(f"The job list {path} cannot be read: {error}.") from error


def read_dependencies(structure_database: Path) -> list[tuple[str, str]]:
    """Return the edges between jobs as (parent, child); none if there is no such file.

    Raises UnreadableJobList when the database is broken, or locked for long.
    """
    try:
        found = rows(structure_database, "experiment_structure", ("e_from", "e_to"))
    except FileNotFoundError:
        return []
    except (OSError, sqlite3.Error) as error:
        raise UnreadableJobList(f"The edges in {structure_database} cannot be read: {error}.") from error
    return [(text(row["e_from"]), text(row["e_to"])) for row in found]


def _read_bytes(path: Path) -> bytes:
    """Read a pickle whole, and of a database, which may be larger, no more than its first bytes."""
    with path.open("rb") as file:
        start = file.read(len(_SQLITE_MAGIC))
        if start == _SQLITE_MAGIC:
            return start
        data = start + file.read(MAX_BYTES - len(start) + 1)
    if len(data) > MAX_BYTES:
        raise UnreadableJobList(f"The job list {path} cannot be read: it is larger than {MAX_BYTES} bytes.")
    return data


def _jobs_in_database(path: Path) -> list[JobRecord]:
    """Autosubmit 4.2: a row for each job, its status by name."""
    return [_job_of_row(row) for row in rows(path, "jobs", _COLUMNS)]


def _jobs_in(data: object) -> list[JobRecord]:
    """Choose the reader by the form that is found."""
    for form, read in _FORMS.items():
        if isinstance(data, form):
            return read(data)
    raise pickled.Refused(f"unknown form of job list: {type(data).__name__}")


def _jobs_of_dict(data: Mapping[object, object]) -> list[JobRecord]:
    """4.1.12 to 4.1.17: the attributes of each job under its name."""
    return [_job_of_attributes(attributes) for attributes in data.values()]


def _jobs_of_graph(graph: pickled.Inert) -> list[JobRecord]:
    """4.1.9 to 4.1.11: a networkx graph whose nodes hold a Job each."""
    nodes = _mapping(graph.state).get("_node")
    jobs = (_mapping(node).get("job") for node in _mapping(nodes).values())
    return [_job_of_attributes(job.state if isinstance(job, pickled.Inert) else job) for job in jobs]


def _jobs_of_list(data: Iterable[object]) -> list[JobRecord]:
    """3.x and 4.0: a tuple for each job; 4.0 has its wrapper as a 13th member."""
    return [_job_of_tuple(job) for job in data]


_FORMS: dict[type, Callable[[Any], list[JobRecord]]] = {
    dict: _jobs_of_dict,
    pickled.Inert: _jobs_of_graph,
    list: _jobs_of_list,
}


def _job_of_attributes(value: object) -> JobRecord:
    job = _mapping(value)
    name = _name(job.get("_name"))
    out_log, err_log = _logs(name, job.get("_local_logs"), job.get("_remote_logs"))
    out_log_remote, err_log_remote = _logs(name, job.get("_remote_logs"), None)
    return JobRecord(
        name=name,
        status=_status(job.get("_status", job.get("status"))),
        section=text(job.get("_section")),
        date=_date(job.get("date")),
        member=text(job.get("_member")),
        chunk=_ordinal(job.get("_chunk")),
        split=_ordinal(job.get("_split")),
        splits=_ordinal(job.get("_splits")),
        priority=number(job.get("priority")),
        platform=text(job.get("platform_name")),
        remote_id=identifier(job.get("id")),
        wallclock=text(job.get("_wallclock")),
        processors=text(job.get("_processors")),
        out_log=out_log,
        err_log=err_log,
        out_log_remote=out_log_remote,
        err_log_remote=err_log_remote,
        fail_count=count(job.get("_fail_count")),
    )


def _job_of_tuple(job: object) -> JobRecord:
    if not isinstance(job, tuple) or len(job) < 12:
        raise pickled.Refused("unknown form of job list: a list of something else than jobs")
    name, remote_id, status, priority, section, date, member, chunk, *logs = job[:12]
    return JobRecord(
        name=_name(name),
        status=_status(status),
        section=text(section),
        date=_date(date),
        member=text(member),
        chunk=_ordinal(chunk),
        split=None,
        splits=None,
        priority=number(priority),
        platform="",
        remote_id=identifier(remote_id),
        wallclock="",
        processors="",
        out_log=text(logs[0]),
        err_log=text(logs[1]),
        out_log_remote=text(logs[2]),
        err_log_remote=text(logs[3]),
        fail_count=0,
    )


def _job_of_row(row: Mapping[str, object]) -> JobRecord:
    return JobRecord(
        name=_name(row.get("name")),
        status=_status(row.get("status")),
        section=text(row.get("section")),
        date=_date(row.get("date")),
        member=text(row.get("member")),
        chunk=_ordinal(row.get("chunk")),
        split=_ordinal(row.get("split")),
        splits=_ordinal(row.get("splits")),
        priority=number(row.get("priority")),
        platform=text(row.get("platform_name")),
        remote_id=identifier(row.get("id")),
        wallclock=text(row.get("wallclock")),
        processors="",
        out_log=text(row.get("local_logs_out")),
        err_log=text(row.get("local_logs_err")),
        out_log_remote=text(row.get("remote_logs_out")),
        err_log_remote=text(row.get("remote_logs_err")),
        fail_count=count(row.get("fail_count")),
    )


def _mapping(value: object) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise pickled.Refused(f"unknown form of job list: {type(value).__name__} where attributes belong")
    return value


def _name(value: object) -> str:
    name = text(value)
    if not name:
        raise pickled.Refused("unknown form of job list: a job without a name")
    return name


def _status(value: object) -> str:
    """Return the name of a status, given by number in a pickle and by name in a database."""
    if isinstance(value, str) and value in STATUSES:
        return value
    return STATUS_BY_NUMBER.get(value, "UNKNOWN") if isinstance(value, int) else "UNKNOWN"


def _ordinal(value: object) -> int | None:
    """Return the number of a chunk or split; Autosubmit says None, 0 or -1 for "has none"."""
    ordinal = number(value)
    return ordinal if ordinal > 0 else None


def _date(value: object) -> datetime | None:
    """Return a start date, which Autosubmit keeps without a zone, as UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


def _logs(name: str, value: object, other: object) -> tuple[str, str]:
    """Return the names of output and error log, which are a pair.

    After `recovery` and `setstatus` 4.1.17 has the names that it took from its history in the wrong places: the output
    log alone where the local pair belongs, the error log where the remote pair does.
    """
    if isinstance(value, tuple | list) and len(value) == 2:
        return _log(name, value[0]), _log(name, value[1])
    return (_log(name, value), _log(name, other)) if isinstance(other, str) else ("", "")


def _log(name: str, value: object) -> str:
    """Return the name of a log. After a run 4.1.17 has `<job>.0.out`, a name from before the submission: no file."""
    log = text(value)
    return "" if log.startswith(f"{name}.0.") else log
