"""The logs of an experiment or of one of its jobs, and whether more is still written to one."""

import time
from pathlib import Path

from experiments.autosubmit.store import locate
from experiments.models import Experiment
from jobs.autosubmit.logs.reader import ExperimentLogs, JobLogs, Log, Logs
from jobs.autosubmit.statuses import ACTIVE
from jobs.models import Job

QUIET_SECONDS = 60.0
"""A command writes to its log at least so often, unless it is a run."""


def find_logs(experiment: Experiment, job: Job | None = None) -> Logs:
    """Return the logs of an experiment, or of one of its jobs. Raises BrokenStore when its site has no store."""
    return ExperimentLogs(_find_folder(experiment)) if job is None else find_job_logs(experiment, job)


def find_job_logs(experiment: Experiment, job: Job) -> JobLogs:
    """Return the logs of one of the jobs. Raises BrokenStore when its site has no store."""
    return JobLogs(_find_folder(experiment), job.name, [name for name in (job.out_log, job.err_log) if name])


def _find_folder(experiment: Experiment) -> Path:
    site = experiment.site
    return locate(site.home_folder, site.configuration_file).experiment_folder(experiment.expid)


def is_log_over(log: Log, experiment: Experiment, job: Job | None = None) -> bool:
    """Answer whether nothing more will be written to a log: the job, or the run and any other command, has ended.

    Of a job whose end nobody wrote down, and of an attempt before, that is told by the file.
    """
    if log.is_compressed:
        return True
    if job is not None and (job.status in ACTIVE or job.finished_at is not None):
        return job.status not in ACTIVE
    is_quiet = time.time() - log.status.st_mtime > QUIET_SECONDS
    return is_quiet and (job is not None or not experiment.is_running)
