"""What must hold before an action may start: functions of an experiment that answer None or the reason why not."""

from typing import Protocol


class ExperimentState(Protocol):
    """What a precondition may look at."""

    expid: str
    is_running: bool
    is_starting: bool
    evidence: str
    has_job_list: bool


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
