"""What must hold before or after an action: functions of an experiment that answer None or the reason why not."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class ExperimentState(Protocol):
    """What a precondition may look at."""

    expid: str
    gone_at: Any
    is_absent: bool
    is_running: bool
    is_starting: bool
    evidence: str
    ignores_interrupt: bool
    has_job_list: bool
    problem: str

    def active_jobs(self) -> list[tuple[str, str]]:
        """Name and platform of the jobs that are on a platform according to the job list."""
        ...

    def statuses_of(self, names: Sequence[str]) -> dict[str, str]:
        """Status of each of the named jobs that exist."""
        ...


def in_store(experiment: ExperimentState) -> str | None:
    """Refuse whatever is done to an experiment that is archived, or is not in the store any more."""
    if experiment.gone_at:
        return f"{experiment.expid} is gone from the store."
    return absent(experiment.expid, experiment.evidence) if experiment.is_absent else None


def absent(expid: str, absence: str) -> str:
    """Say that nothing can be done to an experiment without a folder; `absence` says where that is, and the way out."""
    return f"{expid} has no folder in the store: {absence}. Nothing can be done to it until it is back."


def not_running(experiment: ExperimentState) -> str | None:
    """Refuse while a run lives: what Autosubmit does to a job list under its run destroys work."""
    if experiment.is_running:
        return f"{experiment.expid} is running ({experiment.evidence}). Stop it first."
    return None


def not_running_or_live(experiment: ExperimentState) -> str | None:
    """Refuse while a run lives, and name what can be done then."""
    reason = not_running(experiment)
    return f"{reason} Or have the run do it: “Set status while running” (live=true)." if reason else None


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


def ignores_stop(experiment: ExperimentState, parameters: Mapping[str, Any]) -> str:
    """Tell of a run that only force stops: it ignores SIGINT, as what a shell puts into the background does."""
    if parameters.get("force") or not (experiment.is_running and experiment.ignores_interrupt):
        return ""
    return (
        f"The run of {experiment.expid} ignores SIGINT ({experiment.evidence}), because a shell has put it into the "
        "background: only force ends it."
    )


def run_is_gone(experiment: ExperimentState, _parameters: Mapping[str, Any]) -> str | None:
    """Refuse to call a run stopped that is still seen."""
    if experiment.is_running:
        return f"{experiment.expid} still runs ({experiment.evidence}). Stop it with force to kill it."
    return None


def jobs_left_active(experiment: ExperimentState, _parameters: Mapping[str, Any]) -> str:
    """Tell which jobs go on after their run has gone: neither the run nor the portal watches them any more."""
    if experiment.problem:
        return f"Which jobs are left active is not known: {experiment.problem}"
    jobs = experiment.active_jobs()
    if not jobs:
        return "No job is left active."
    shown = ", ".join(f"{name} on {platform or 'an unknown platform'}" for name, platform in jobs[:10])
    more = f" and {len(jobs) - 10} more" if len(jobs) > 10 else ""
    return f"Left active: {shown}{more}."


# A run takes jobs on from these at once, so that they are hardly ever seen.
_PASSING = ("READY", "WAITING")


def jobs_were_changed(experiment: ExperimentState, parameters: Mapping[str, Any]) -> str | None:
    """Refuse to call jobs changed that the job list shows in another status, unless the run has taken them on.

    A job list that cannot be read shows nothing.
    """
    wanted = parameters["status"]
    if wanted in _PASSING or experiment.problem:
        return None
    others = {name: now for name, now in experiment.statuses_of(parameters["jobs"]).items() if now != wanted}
    return f"The run has read the change, but {_shown(others)}. Look at its log." if others else None


def jobs_are_now(experiment: ExperimentState, parameters: Mapping[str, Any]) -> str:
    """Tell the status of the jobs: the run may have taken them on already."""
    if experiment.problem:
        return f"What the jobs are now is not known: {experiment.problem}"
    return f"Now {_shown(experiment.statuses_of(parameters['jobs']))}."


def _shown(statuses: Mapping[str, str]) -> str:
    shown = ", ".join(f"{name} is {status}" for name, status in list(statuses.items())[:5])
    more = f" and {len(statuses) - 5} more jobs" if len(statuses) > 5 else ""
    return f"{shown}{more}"
