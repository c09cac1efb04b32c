"""What an action destroys, in words with numbers."""

from collections.abc import Mapping

from autosubmit_portal.sentences import say
from experiments.catalogue.facts import Impact, JobFacts, Parameters
from jobs.autosubmit.statuses import ACTIVE

UNTOUCHED_STATUSES = ("WAITING", "READY")


def say_if(option: str, impact: Impact) -> Impact:
    """Return an impact that counts only if the flag `option` is set."""

    def say_when(experiment: JobFacts, parameters: Parameters) -> str:
        return impact(experiment, parameters) if parameters.get(option) else ""

    return say_when


def lose_progress(experiment: JobFacts, _parameters: Parameters) -> str:
    """Say which jobs go back to the beginning when the job list is generated anew."""
    if experiment.problem:
        return say("What {expid} loses is not known: {problem}", expid=experiment.expid, problem=experiment.problem)
    counts = experiment.status_counts.items()
    touched = {status: count for status, count in counts if status not in UNTOUCHED_STATUSES}
    total = sum(touched.values())
    if not total:
        return ""
    if total == 1:
        return say(
            "{expid} loses the progress of 1 job: {counts}.", expid=experiment.expid, counts=_list_counts(touched)
        )
    return say(
        "{expid} loses the progress of {total} jobs: {counts}.",
        expid=experiment.expid,
        total=f"{total:,}",
        counts=_list_counts(touched),
    )


def kill_run(experiment: JobFacts, _parameters: Parameters) -> str:
    """Say what killing a run means: nobody saves its job list or watches its jobs."""
    return say(
        "The run of {expid} is killed at once, whatever it is writing. Jobs that nobody watches any more: {counts}.",
        expid=experiment.expid,
        counts=_count_active(experiment),
    )


def cancel_jobs(experiment: JobFacts, _parameters: Parameters) -> str:
    """Say which jobs are cancelled. The mirror may be seconds behind, so there may be jobs that it does not show."""
    return say(
        "The active jobs of {expid} are cancelled: {counts}.", expid=experiment.expid, counts=_count_active(experiment)
    )


def _count_active(experiment: JobFacts) -> str:
    if experiment.problem:
        return say("not known, {problem}", problem=experiment.problem.rstrip("."))
    counts = {status: experiment.status_counts.get(status, 0) for status in ACTIVE}
    return _list_counts(counts) or say("none that is known")


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()) if count)
