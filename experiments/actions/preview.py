"""What an action would change: the catalogue's preview of its kind, on the rows of the mirror."""

from collections.abc import Mapping
from dataclasses import replace

from experiments.actions.choice import COLUMNS
from experiments.actions.parameters import validated
from experiments.actions.request import Request
from experiments.models import Action, Experiment
from experiments.previews import Effect
from jobs.models import Job, JobDependency
from jobs.workflow import JobRow, Workflow


def effect_of(request: Request) -> Effect | None:
    """Return what the action would change; None for a kind that does not say. Raises InvalidParameters.

    While the job list cannot be read it is what would change if the jobs were as they were read last, with that
    warning.
    """
    if request.kind.preview is None or request.experiment is None:
        return None
    parameters = validated(request.kind, request.parameters)
    effect = request.kind.preview(workflow_of(request.experiment), parameters, None)
    problem = request.experiment.problem
    return (
        replace(effect, warnings=[f"This may be out of date. {problem}", *effect.warnings])
        if problem
        else effect
    )


def would_be_changes(action: Action, reported: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the jobs that a dry run of Autosubmit would have changed, and their new status.

    `recovery` reports each job, also those that keep their status, and says WAITING for what becomes READY.
    """
    preview = action.catalogue_kind.preview
    if preview is None or action.experiment is None:
        return list(reported.items())
    effect = preview(workflow_of(action.experiment), action.parameters, reported)
    return [(change.job, change.new) for change in effect.changes or ()]


def workflow_of(experiment: Experiment) -> Workflow:
    """Read the jobs and the edges of an experiment, with one query for each."""
    rows = Job.objects.filter(experiment=experiment).order_by("pk").values_list("pk", *COLUMNS)
    jobs = {pk: JobRow(*values) for pk, *values in rows}
    edges = JobDependency.objects.filter(parent__experiment=experiment).values_list("parent_id", "child_id")
    names = ((jobs.get(parent), jobs.get(child)) for parent, child in edges)
    return Workflow(
        list(jobs.values()), [(parent.name, child.name) for parent, child in names if parent and child]
    )
