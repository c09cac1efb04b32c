"""What must hold before or after an action: functions of an experiment that answer None or the reason why not."""

from typing import Protocol


class ExperimentState(Protocol):
    """What a precondition may look at."""

    expid: str
    is_running: bool
    is_starting: bool
    evidence: str
    has_job_list: bool

    def active_jobs(self) -> list[tuple[str, str]]:
        """Name and platform of the jobs that are on a platform according to the job list."""
        ...


def not_running(experiment: ExperimentState) -> str | None:
    """Refuse while a run lives: what Autosubmit does to a job list under its run destroys work."""
    if experiment.is_running:
        return f"{experiment.expid} is running ({experiment.evidence}). Stop it first."
    return None


def running(experiment: ExperimentState) -> str | None:
    """Refuse when there is no run, neither seen alive nor just being started."""
    if experiment.is_running or experiment.is_starting:
        return None
    return f"{experiment.expid} is not running ({experiment.evidence or 'no run was seen'})."


def has_job_list(experiment: ExperimentState) -> str | None:
    """Refuse when there are no jobs yet."""
    if experiment.has_job_list:
        return None
    return f"{experiment.expid} has no job list yet. Generate it first."


def run_is_gone(experiment: ExperimentState) -> str | None:
    """Refuse to call a run stopped that is still seen."""
    if experiment.is_running:
        return f"{experiment.expid} still runs ({experiment.evidence}). Stop it with force to kill it."
    return None


def jobs_left_active(experiment: ExperimentState) -> str:
    """Tell which jobs go on after their run has gone: neither the run nor the portal watches them any more."""
    jobs = experiment.active_jobs()
    if not jobs:
        return "No job is left active."
    shown = ", ".join(f"{name} on {platform or 'an unknown platform'}" for name, platform in jobs[:10])
    more = f" and {len(jobs) - 10} more" if len(jobs) > 10 else ""
    return f"Left active: {shown}{more}."
