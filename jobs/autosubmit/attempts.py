"""Which attempt at a job the history is about: the one that the job list is about, or one before it.

What belongs to an attempt, its times, number, platform and logs, is never taken from two. Autosubmit 4.1.17 and 4.2
write the row of an attempt when it has ended, so that beside an active job there stands the attempt before; earlier
versions write it when they submit the job.
"""

from dataclasses import replace

from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.statuses import ACTIVE, NOT_SENT


def choose_attempt(record: JobRecord, newest: JobTimes | None) -> JobTimes | None:
    """Return the newest attempt in the history as far as it is the one that the job list is about; None otherwise.

    An active job has no finish, and starts when it runs: a list that was saved before is not to be mixed with what
    came after it.
    """
    if newest is None or record.status in NOT_SENT:
        return None
    if record.status not in ACTIVE:
        return newest
    if not _is_same(record, newest):
        return None
    return replace(
        newest,
        remote_id=newest.remote_id or record.remote_id,
        started_at=newest.started_at if record.status == "RUNNING" else None,
        finished_at=None,
    )


def _is_same(record: JobRecord, newest: JobTimes) -> bool:
    """Answer whether the history is about the attempt at an active job: by its number, or because it has no end."""
    if record.remote_id and newest.remote_id:
        return record.remote_id == newest.remote_id
    is_earlier = newest.fail_count is not None and newest.fail_count < record.fail_count
    return newest.finished_at is None and not is_earlier
