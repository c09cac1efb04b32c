"""What must hold before an action: each returns why it does not, blank if it does."""

from autosubmit_portal.sentences import say
from experiments.catalogue.facts import NO_PARAMETERS, ExperimentFacts, Parameters


def refuse_absent(experiment: ExperimentFacts, _parameters: Parameters = NO_PARAMETERS) -> str:
    """Refuse an experiment that is archived, or not in the store any more."""
    if experiment.gone_at:
        return say("{expid} is gone from the store.", expid=experiment.expid)
    return say_absent(experiment.expid, experiment.evidence) if experiment.is_absent else ""


def say_absent(expid: str, absence: str) -> str:
    """Say that nothing can be done to an experiment without a folder; `absence` says where that is, and the way out."""
    return say(
        "{expid} has no folder in the store: {absence}. Nothing can be done to it until it is back.",
        expid=expid,
        absence=absence,
    )


def refuse_during_run(experiment: ExperimentFacts, _parameters: Parameters) -> str:
    """Refuse while a run lives: if Autosubmit changes the job list of a live run, work is destroyed."""
    if experiment.is_running:
        return say(
            "{expid} is running ({evidence}). Stop it first.", expid=experiment.expid, evidence=experiment.evidence
        )
    return ""


def refuse_during_run_or_offer_live(experiment: ExperimentFacts, parameters: Parameters) -> str:
    """Refuse while a run lives, and name what can be done then."""
    reason = refuse_during_run(experiment, parameters)
    return reason and say("{reason} Or have the run do it: “Set status while running” (live=true).", reason=reason)


def refuse_without_run(experiment: ExperimentFacts, _parameters: Parameters) -> str:
    """Refuse when there is no run, neither seen alive nor just being started."""
    if experiment.is_running or experiment.is_starting:
        return ""
    return say(
        "{expid} is not running ({evidence}).",
        expid=experiment.expid,
        evidence=experiment.evidence or say("no run was seen"),
    )


def refuse_without_jobs(experiment: ExperimentFacts, _parameters: Parameters) -> str:
    """Refuse when there are no jobs yet."""
    if experiment.has_job_list:
        return ""
    return say("{expid} has no job list yet. Generate it first.", expid=experiment.expid)


def doubt_stop(experiment: ExperimentFacts, parameters: Parameters) -> str:
    """Warn of a run that only force stops: it ignores SIGINT, like what a shell starts in the background."""
    if parameters.get("force") or not (experiment.is_running and experiment.ignores_interrupt):
        return ""
    return say(
        "The run of {expid} ignores SIGINT ({evidence}), because a shell has put it into the background: only force "
        "ends it.",
        expid=experiment.expid,
        evidence=experiment.evidence,
    )
