"""The jobs that a filter means, written out by name, so that what was shown and what is done cannot differ.

Autosubmit's own filters mean other jobs than they say: in a workflow with splits `--filter_type` leaves out whatever
has fewer than two, silently, and READY jobs are found as WAITING (4.1.17). So the portal chooses from the mirror, and
the command has the names. It chooses when the action is asked for, and again when it is approved and right before it
starts: if that gives other jobs by then, because some have another status, the action is refused.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import ActionKind
from experiments.catalogue.selection import JOB_NAME_PATTERN
from experiments.models import Action, Experiment
from jobs.models import Job
from jobs.workflow import JobRow, Workflow

COLUMNS = ("name", "status", "section", "date", "member", "chunk")

_NAME = re.compile(JOB_NAME_PATTERN)


def jobs_of(experiment: Experiment) -> Workflow:
    """Read the jobs of an experiment without their edges. One query."""
    return jobs_of_each([experiment.pk])[experiment.pk]


def jobs_of_each(experiments: Collection[int]) -> dict[int, Workflow]:
    """Read the jobs of experiments without their edges, by experiment. One query."""
    found: dict[int, list[JobRow]] = {experiment: [] for experiment in experiments}
    jobs = Job.objects.filter(experiment__in=experiments).order_by("pk")
    for experiment, *row in jobs.values_list("experiment_id", *COLUMNS):
        found[experiment].append(JobRow(*row))
    return {experiment: Workflow(rows) for experiment, rows in found.items()}


def written_out(
    kind: ActionKind,
    experiment: Experiment | None,
    parameters: Mapping[str, Any],
    read: Callable[[Experiment], Workflow] = jobs_of,
) -> dict[str, Any]:
    """Return the validated parameters with the names of the chosen jobs in place of a filter; `read` gives the jobs.

    Raises InvalidParameters when the filter means no job, and Conflict while the job list cannot be read.
    """
    given = (option for option in kind.options if option.is_filter and parameters.get(option.name))
    way = next(given, None)
    if way is None or way.choose is None or experiment is None:
        return dict(parameters)
    if experiment.problem:
        raise Conflict(f"Which jobs a filter means is not known now. {experiment.problem}")
    names, doubts = way.choose(read(experiment), parameters[way.name])
    if not names:
        raise InvalidParameters({way.name: doubts or ["No job is meant by this."]})
    _require_names(way.name, names)
    return {key: value for key, value in parameters.items() if key != way.name} | {"jobs": names}


def choice_changed(action: Action, experiment: Experiment) -> str:
    """Say why the jobs that an action was asked for are not those that its filter means now; blank if they are.

    `experiment` is its experiment as it was just read.
    """
    kind = action.catalogue_kind
    try:
        parameters = written_out(kind, experiment, action.parameters)
    except Refusal as refusal:
        return f"It could not be asked for any more. {refusal}"
    if parameters == action.parameters:  # there is no filter
        return ""
    if kind.command_lines(action.site.autosubmit, action.expid, parameters) == action.command:
        return ""
    return "It would change other jobs by now than were asked for. Request it again."


def _require_names(field: str, names: list[str]) -> None:
    """Refuse names that a command line would take for more than one name: what a store says is not to be trusted."""
    odd = [name for name in names if not _NAME.fullmatch(name)]
    if odd:
        shown = join_names([repr(name) for name in odd])
        raise InvalidParameters({field: [f"Autosubmit cannot be told these names of jobs: {shown}."]})
