"""The job list of an experiment, as Autosubmit keeps it, and the edges between its jobs.

| Autosubmit | where | form |
| --- | --- | --- |
| 3.x, 4.0, 4.1 | `pkl/job_list_<expid>.pkl` | a pickle in one of four forms: see `jobs.autosubmit.pickles.formats` |
| 4.1 with `STORAGE.TYPE: db` | `pkl/job_list_<expid>.db`, table `job_pkl` | the same pickle in a SQLite file |
| 4.2 | `db/job_list.db`, table `jobs` | a row for each job |
| 4.1, 4.2 with PostgreSQL | tables `job_pkl` and `<expid>.jobs` | the same tables |

The form is chosen by what is found. A pickle is read as data, by a process with limits: see
`jobs.autosubmit.pickles.formats`. Other local users may write the files, so the type of every value is checked.
"""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from autosubmit_portal.sentences import say
from jobs.autosubmit.database import (
    SQLITE_MAGIC,
    Source,
    UnreadableDatabase,
    iterate_rows,
    list_tables,
    open_regular,
    read_rows,
)
from jobs.autosubmit.job_record import COLUMNS, LONGEST_NAME, JobRecord
from jobs.autosubmit.pickles.formats import Edge, Row, Rows, Scalar, require_mirrored
from jobs.autosubmit.records import read_record
from jobs.autosubmit.refusal import Refused
from jobs.autosubmit.values import to_text

MAX_BYTES = 384 * 1024 * 1024
"""500,000 jobs take about 290 MB; a larger file than this is not loaded."""

_PLAIN_NAME = re.compile(rf"[\w.-]{{1,{LONGEST_NAME}}}", re.ASCII)


class UnreadableJobList(Exception):
    """A job list, or its edges, cannot be read; the text says why."""


Decode = Callable[[IO[bytes], int], Rows]
"""Makes rows of a pickle of so many bytes. Raises Refused."""


class JobRows(NamedTuple):
    """A row for each job, in the order of the list, and the edges that the list has itself."""

    jobs: list[Row]
    edges: list[Edge]


def read_job_rows(source: Source, decode: Decode) -> JobRows:
    """Read a job list.

    The list is a file or a schema of PostgreSQL. Raises FileNotFoundError when there is none yet, and UnreadableJobList
    for all else: no permission, a truncated file, a locked database, an unknown form, a pickle that names anything but
    data.
    """
    try:
        if isinstance(source, Path) and not _is_database(source):
            with open_regular(source) as file:
                return _decode(file, os.fstat(file.fileno()).st_size, decode)
        return _read_database(source, decode)
    except FileNotFoundError:
        raise
    except (Refused, UnreadableDatabase, OSError) as error:
        raise _explain(source, error) from error


def make_job(values: Row, source: Source) -> JobRecord:
    """Return the job of a row. Raises UnreadableJobList for one that cannot be told from others."""
    try:
        return read_record(JobRecord, dict(zip(COLUMNS, values, strict=True)))
    except Refused as error:
        raise _explain(source, error) from error


def find_name(values: Row, source: Source) -> str:
    """Return the name in the row of a job: mostly as it stands there. Raises as `make_job` does."""
    name = values[0]
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else make_job(values, source).name


def _explain(source: Source, error: Exception) -> UnreadableJobList:
    return UnreadableJobList(say("The job list {source} cannot be read: {error}.", source=source, error=error))


def read_dependencies(source: Source) -> list[tuple[str, str]] | None:
    """Return the edges between jobs as (parent, child); None if there is no such file or table, or nothing in it.

    A job without edges is stored as an edge to itself, which is left out. Raises UnreadableJobList when the database is
    broken or locked for long.
    """
    names: dict[str, str] = {}  # each is said for every edge that it has
    edges, has_rows = [], False
    try:
        for row in iterate_rows(source, "experiment_structure", ("e_from", "e_to")):
            has_rows = True
            parent, child = to_text(row.get("e_from")), to_text(row.get("e_to"))
            if parent != child:
                edges.append((names.setdefault(parent, parent), names.setdefault(child, child)))
    except FileNotFoundError:
        return None
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableJobList(
            say("The edges in {source} cannot be read: {error}.", source=source, error=error)
        ) from error
    return edges if has_rows else None


def _is_database(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _read_database(source: Source, decode: Decode) -> JobRows:
    """4.2: a row for each job, its status by name. 4.1 with `STORAGE.TYPE: db`: the pickle in a row."""
    if "jobs" in list_tables(source):
        found = read_rows(source, "jobs", COLUMNS)
        require_mirrored(len(found))
        return JobRows([[_keep_scalar(row.get(column)) for column in COLUMNS] for row in found], [])
    (row, *_) = read_rows(source, "job_pkl", ("pkl",)) or [{}]
    data = row.get("pkl")
    if not isinstance(data, bytes):
        raise FileNotFoundError(say("There is no job list in {source} yet.", source=source))
    return _decode(io.BytesIO(data), len(data), decode)


def _keep_scalar(value: Any) -> Scalar:
    """Return a value as it is; one of another kind than JSON has is none that Autosubmit writes."""
    return value if isinstance(value, str | int | float) else None


def _decode(pickle: IO[bytes], length: int, decode: Decode) -> JobRows:
    if length > MAX_BYTES:
        raise Refused(
            say(
                "it has {length} bytes, and the portal reads at most {most}",
                length=f"{length:,}",
                most=f"{MAX_BYTES:,}",
            )
        )
    jobs, edges = decode(pickle, length)
    return JobRows([*jobs], [*edges])
