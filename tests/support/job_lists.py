"""What the readers of the agent make of files of a store, in the process of a test: for files that mean no harm."""

import json
from collections.abc import Iterator
from typing import IO, NamedTuple

from jobs.autosubmit.database import Source
from jobs.autosubmit.history import JobTimes, make_times, read_newest_rows
from jobs.autosubmit.job_list import make_job, read_edges, read_job_lines
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.pickles import decoder


class JobList(NamedTuple):
    """The jobs in the order of the file, and the edges (parent, child) that the list itself has."""

    jobs: list[JobRecord]
    edges: list[tuple[str, str]]


def decode_here(pickle: IO[bytes], length: int) -> Iterator[bytes]:
    """Decode a pickle."""
    return decoder.decode(pickle.read(length))


def read_job_list(source: Source) -> JobList:
    """Return the job list in a file or in a schema of PostgreSQL; raise as `read_job_lines` does."""
    jobs, edges = list[JobRecord](), list[tuple[str, str]]()
    for line in read_job_lines(source, decode_here):
        value = json.loads(line)
        if isinstance(value, dict):
            edges.extend(read_edges(value))
        else:
            jobs.append(make_job(value, source))
    return JobList(jobs, edges)


def read_newest_attempts(source: Source) -> dict[str, JobTimes]:
    """Return the newest attempt at each job by its name."""
    return {name: make_times(row) for name, row in read_newest_rows(source).items()}
