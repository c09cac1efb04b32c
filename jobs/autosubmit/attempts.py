"""Decide whether the history has the same attempt at a job as the job list, or an earlier one.

Times, number, platform and logs of a job must all be of one attempt. Autosubmit 4.1.17 and 4.2 write the row of an
attempt when it has ended, so for an active job the history has the attempt before; earlier versions write the row when
they submit the job.
"""

from dataclasses import replace

from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.statuses import ACTIVE, NOT_SENT


def choose_attempt(record: JobRecord, newest: JobTimes | None) -> JobTimes | None:
    """Return the newest attempt in the history if the job list is about the same one; else None.

    Of an active job the finish is dropped, and the start until it runs: the history may be newer than the job list.
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
    """Return whether the history has the attempt of an active job: it has the same number, or no end."""
    if record.remote_id and newest.remote_id:
        return record.remote_id == newest.remote_id
    is_earlier = newest.fail_count is not None and newest.fail_count < record.fail_count
    return newest.finished_at is None and not is_earlier
