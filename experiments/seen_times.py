"""Since when the mirror sees jobs in their status: the best that is known until Autosubmit writes their times.

Autosubmit 4.1 writes the times of an attempt when it has fetched its logs, after its end. What it has written counts;
what was only seen is told as such, and never stands in the fields of what was written.
"""

from collections.abc import Iterable
from datetime import datetime

from experiments.models import Experiment
from jobs.models import Job
from jobs.pictures.picture import PicturedJob


def read_seen(experiment: Experiment) -> dict[str, tuple[str, datetime]]:
    """Return by name the jobs that are on a platform: the status of each, and since when it is seen in it."""
    if not experiment.is_running:  # what is kept is of the run before
        return {}
    return {name: (status, datetime.fromisoformat(at)) for name, (status, at) in experiment.active_since.items()}


def find_seen(experiment: Experiment, job: Job) -> datetime | None:
    """Return since when a job is seen in its status, where Autosubmit has not written when it came into it."""
    if not experiment.is_running or _is_written(job):
        return None
    status, at = experiment.active_since.get(job.name, ("", ""))
    return datetime.fromisoformat(at) if status == job.status else None


def add_seen(experiment: Experiment, jobs: Iterable[PicturedJob]) -> list[PicturedJob]:
    """Return the jobs, each with since when it is seen in its status where no time of that is written."""
    seen = read_seen(experiment)
    return [_add(job, seen) for job in jobs] if seen else [*jobs]


def _add(job: PicturedJob, seen: dict[str, tuple[str, datetime]]) -> PicturedJob:
    status, at = seen.get(job.name, ("", None))
    is_seen = at is not None and status == job.status and not _is_written(job)
    return job._replace(seen_at=int(at.timestamp())) if at and is_seen else job


def _is_written(job: Job | PicturedJob) -> bool:
    return (job.started_at if job.status == "RUNNING" else job.submitted_at) is not None
