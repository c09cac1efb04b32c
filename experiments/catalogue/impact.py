"""What an action destroys: functions of an experiment and of validated parameters that say it, blank if nothing."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jobs.autosubmit.statuses import ACTIVE


class Counted(Protocol):
    """What a loss may look at: the number of jobs per status, and why that is not known now."""

    expid: str
    status_counts: Any
    problem: str


Loss = Callable[[Counted, Mapping[str, Any]], str]

UNTOUCHED_STATUSES = ("WAITING", "READY")


def when(option: str, loss: Loss) -> Loss:
    """Return the loss that there is only if a flag is set."""

    def lost(experiment: Counted, parameters: Mapping[str, Any]) -> str:
        return loss(experiment, parameters) if parameters.get(option) else ""

    return lost


def progress(experiment: Counted, parameters: Mapping[str, Any]) -> str:
    """Say which jobs go back to the beginning when the job list is generated anew."""
    if experiment.problem:
        return f"What {experiment.expid} loses is not known: {experiment.problem}"
    touched = {
        status: count
        for status, count in experiment.status_counts.items()
        if status not in UNTOUCHED_STATUSES
    }
    if not any(touched.values()):
        return ""
    total = sum(touched.values())
    return f"{experiment.expid} loses the progress of {total:,} {_jobs(total)}: {_listed(touched)}."


def the_run(experiment: Counted, parameters: Mapping[str, Any]) -> str:
    """Say what it means to kill a run: nobody saves its job list or watches its jobs."""
    return (
        f"The run of {experiment.expid} is killed at once, whatever it is writing. "
        f"Jobs that nobody watches any more: {_active(experiment)}."
    )


def active_jobs(experiment: Counted, parameters: Mapping[str, Any]) -> str:
    """Say which jobs are cancelled; the mirror may be seconds behind, so that none seen does not mean none."""
    return f"The active jobs of {experiment.expid} are cancelled: {_active(experiment)}."


def _active(experiment: Counted) -> str:
    if experiment.problem:
        return f"not known, {experiment.problem.rstrip('.')}"
    counts = {status: experiment.status_counts.get(status, 0) for status in ACTIVE}
    return _listed(counts) or "none that is known"


def _jobs(number: int) -> str:
    return "job" if number == 1 else "jobs"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()) if count)
