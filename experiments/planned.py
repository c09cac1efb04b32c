"""Platform, processors, wallclock and queue of jobs that were not sent yet."""

from experiments.autosubmit.plans import PLANNED, add_plan
from experiments.models import Experiment
from jobs.autosubmit.statuses import NOT_SENT
from jobs.models import Job


def apply_plan(experiment: Experiment, job: Job) -> tuple[dict[str, str | None], list[str]]:
    """Return the fields of PLANNED as they are known of a job, and the names of those that are planned only."""
    values = {name: getattr(job, name) or None for name in PLANNED}
    plans = experiment.plans if job.status in NOT_SENT else {}
    return add_plan(job.status, job.section, values, plans)
