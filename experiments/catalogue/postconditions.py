"""What must hold when the last command has succeeded, and what is reported then, both on fresh evidence."""

from collections.abc import Mapping

from autosubmit_portal.sentences import marked, say
from experiments.catalogue.facts import ExperimentFacts, Parameters, join_names

# A run takes jobs on from these at once, so that they are hardly ever seen.
_PASSING = ("READY", "WAITING")


def refuse_living_run(experiment: ExperimentFacts, _parameters: Parameters) -> str:
    """Return why a run does not count as stopped: it still lives."""
    if experiment.is_running:
        return say(
            "{expid} still runs ({evidence}). Stop it with force to kill it.",
            expid=experiment.expid,
            evidence=experiment.evidence,
        )
    return ""


def report_active_jobs(experiment: ExperimentFacts, _parameters: Parameters) -> str:
    """Say which jobs go on after their run has ended: nobody watches them any more."""
    if experiment.problem:
        return say("Which jobs are left active is not known: {why}", why=experiment.problem)
    jobs = [_place(name, platform) for name, platform in experiment.list_active_jobs()]
    return say("Left active: {jobs}.", jobs=join_names(jobs, 10)) if jobs else say("No job is left active.")


def _place(name: str, platform: str) -> str:
    form = marked("{name} on {platform}") if platform else marked("{name} on an unknown platform")
    return say(form, name=name, platform=platform)


def refuse_unchanged_jobs(experiment: ExperimentFacts, parameters: Parameters) -> str:
    """Return which jobs have another status than requested, unless the run has already continued with them.

    An unreadable job list proves nothing.
    """
    wanted = parameters["status"]
    if wanted in _PASSING or experiment.problem:
        return ""
    others = {name: now for name, now in experiment.get_statuses(parameters["jobs"]).items() if now != wanted}
    if not others:
        return ""
    return say("The run has read the change, but {jobs}. Look at its log.", jobs=_list_statuses(others))


def report_statuses(experiment: ExperimentFacts, parameters: Parameters) -> str:
    """Say which status the jobs have: the run may have continued with them already."""
    if experiment.problem:
        return say("What the jobs are now is not known: {why}", why=experiment.problem)
    return say("Now {jobs}.", jobs=_list_statuses(experiment.get_statuses(parameters["jobs"])))


def _list_statuses(statuses: Mapping[str, str]) -> str:
    told = [say("{name} is {status}", name=name, status=status) for name, status in statuses.items()]
    return join_names(told, form=marked("{names} and {number} more jobs"))
