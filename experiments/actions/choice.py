"""The jobs that a filter means, written out by name, so that what was shown and what is done cannot differ.

Autosubmit's own filters mean other jobs than they say: in a workflow with splits `--filter_type` leaves out whatever
has fewer than two, silently, and READY jobs are found as WAITING (4.1.17). So the portal chooses from the mirror, and
the command has the names. It chooses when the action is asked for, and again when it is approved and right before it
starts: if that gives other jobs by then, because some have another status, the action is refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from autosubmit_portal.sentences import say
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.workflows import read_jobs
from experiments.autosubmit.command import Choice
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import ActionKind
from experiments.catalogue.selection import JOB_NAME_PATTERN, choose_each, intersect
from experiments.models import Action, Experiment
from jobs.workflow import Workflow

_NAME = re.compile(JOB_NAME_PATTERN)


def name_chosen_jobs(
    kind: ActionKind, experiment: Experiment, parameters: dict[str, Any], read: Callable[[Experiment], Workflow]
) -> dict[str, Any]:
    """Return the validated parameters with the names of the chosen jobs in place of filters; `read` gives the jobs.

    Raises InvalidParameters when the filters mean no job, and Conflict while the job list cannot be read.
    """
    filters = [option.name for option in kind.options if option.is_filter and parameters.get(option.name)]
    if not filters:
        return parameters
    if experiment.problem:
        raise Conflict(say("Which jobs a filter means is not known now. {problem}", problem=experiment.problem))
    choices = choose_each(read(experiment), {name: parameters[name] for name in filters})
    names = intersect(choices)
    if not names:
        raise InvalidParameters(_explain_nothing(choices))
    _require_names(filters[0], names)
    return {key: value for key, value in parameters.items() if key not in filters} | {"jobs": names}


def _explain_nothing(choices: Mapping[str, Choice]) -> dict[str, list[str]]:
    """Say at each filter why it means no job, or at the first that they mean none together."""
    told = {name: doubts or [say("No job is meant by this.")] for name, (names, doubts) in choices.items() if not names}
    return told or {
        next(iter(choices)): [say("No job is meant by these together: {choices}.", choices=", ".join(choices))]
    }


def find_changed_choice(action: Action, experiment: Experiment) -> str:
    """Say why the jobs that an action was asked for are not those that its filter means now; blank if they are.

    `experiment` is its experiment as it was just read.
    """
    kind = action.catalogue_kind
    try:
        parameters = name_chosen_jobs(kind, experiment, action.parameters, _read_jobs_of)
    except Refusal as refusal:
        return say("It could not be asked for any more. {reason}", reason=refusal)
    if parameters == action.parameters:  # there is no filter
        return ""
    if kind.make_command_lines(action.site.autosubmit, action.expid, parameters) == action.command:
        return ""
    return say("It would change other jobs by now than were asked for. Request it again.")


def _read_jobs_of(experiment: Experiment) -> Workflow:
    return read_jobs([experiment.pk])[experiment.pk]


def _require_names(field: str, names: list[str]) -> None:
    """Refuse names that a command line would take for more than one name: what a store says is not to be trusted."""
    odd = [name for name in names if not _NAME.fullmatch(name)]
    if odd:
        shown = join_names([repr(name) for name in odd])
        raise InvalidParameters({field: [say("Autosubmit cannot be told these names of jobs: {shown}.", shown=shown)]})
