"""What the readers of the agent make of files of a store, in the process of a test: for files that mean no harm."""

from typing import IO, NamedTuple

from jobs.autosubmit.database import Source
from jobs.autosubmit.history import JobTimes, make_times, read_newest_rows
from jobs.autosubmit.job_list import make_job, read_job_rows
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.pickles.formats import Rows, decode


class JobList(NamedTuple):
    """The jobs in the order of the file, and the edges (parent, child) that the list itself has."""

    jobs: list[JobRecord]
    edges: list[tuple[str, str]]


def decode_here(pickle: IO[bytes], length: int) -> Rows:
    """Decode a pickle."""
    return decode(pickle.read(length))


def read_job_list(source: Source) -> JobList:
    """Return the job list in a file or in a schema of PostgreSQL; raise as `read_job_rows` does."""
    found = read_job_rows(source, decode_here)
    return JobList([make_job(row, source) for row in found.jobs], found.edges)


def read_newest_attempts(source: Source) -> dict[str, JobTimes]:
    """Return the newest attempt at each job by its name."""
    return {name: make_times(row) for name, row in read_newest_rows(source).items()}
