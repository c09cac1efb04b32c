"""One job as a job list has it, whatever the form of that list: see `jobs.autosubmit.job_list`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from autosubmit_portal.sentences import say
from jobs.autosubmit.records import Column, list_columns
from jobs.autosubmit.refusal import Refused
from jobs.autosubmit.statuses import STATUS_BY_NUMBER, STATUSES
from jobs.autosubmit.values import UTC, to_count, to_identifier, to_number, to_text, to_word

LONGEST_NAME = 250
"""A name cut short could be that of another job; Autosubmit makes files of names, which cannot be longer."""


def read_name(value: object) -> str:
    """Return the name of a job; raise Refused where there is none, or one that is too long."""
    name = to_text(value)
    if not name:
        raise Refused(say("unknown form of job list: a job without a name"))
    if len(name) > LONGEST_NAME:
        raise Refused(say("a job has a name of more than {most} characters", most=LONGEST_NAME))
    return name


def read_status(value: object) -> str:
    """Return the name of a status, given by number in a pickle and by name in a database."""
    name = STATUS_BY_NUMBER.get(value) if isinstance(value, int) else value
    return name if isinstance(name, str) and name in STATUSES else "UNKNOWN"


def read_ordinal(value: object) -> int | None:
    """Return the number of a chunk or split; Autosubmit says None, 0 or -1 for "has none"."""
    ordinal = to_number(value)
    return ordinal if ordinal > 0 else None


def read_date(value: object) -> datetime | None:
    """Return a start date, given as ISO text without a zone, as UTC."""
    try:
        return datetime.fromisoformat(to_text(value)).replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job. The columns have the names of the job-list database of 4.2; a pickle is made into the same.

    What a job does not have is an empty text or None. `remote_id` is the platform's number of the job. `wallclock` is
    "hh:mm", `processors` is what the configuration says. Logs are bare file names; the history has them more reliably.
    `wrapper` stands elsewhere: see `jobs.autosubmit.wrappers`.
    """

    name: Annotated[str, Column(read_name)]
    status: Annotated[str, Column(read_status)]
    section: Annotated[str, Column(to_word)]
    date: Annotated[datetime | None, Column(read_date)]
    member: Annotated[str, Column(to_word)]
    chunk: Annotated[int | None, Column(read_ordinal)]
    split: Annotated[int | None, Column(read_ordinal)]
    splits: Annotated[int | None, Column(read_ordinal)]
    priority: Annotated[int, Column(to_number)]
    platform: Annotated[str, Column(to_word, "platform_name")]
    remote_id: Annotated[int | None, Column(to_identifier, "id")]
    wallclock: Annotated[str, Column(to_word)]
    processors: Annotated[str, Column(to_word)]
    out_log: Annotated[str, Column(to_text, "local_logs_out")]
    err_log: Annotated[str, Column(to_text, "local_logs_err")]
    out_log_remote: Annotated[str, Column(to_text, "remote_logs_out")]
    err_log_remote: Annotated[str, Column(to_text, "remote_logs_err")]
    fail_count: Annotated[int, Column(to_count)]
    wrapper: str = ""


COLUMNS = tuple(list_columns(JobRecord))
