"""What an action would do: its exact commands, and what they change and destroy by the rows of the mirror."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from autosubmit_portal.sentences import say
from experiments.actions.action_request import ActionRequest
from experiments.actions.checks import Facts, check, permit
from experiments.actions.projects import find_unpushed
from experiments.actions.workflows import read_workflow, recall_workflow
from experiments.catalogue.facts import ExperimentFacts
from experiments.catalogue.kinds import ActionKind
from experiments.catalogue.previews import Effect
from experiments.models import Action, Experiment

LONGEST_WORD = 4000


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What an action would do.

    `effect` is None for a kind that does not say; `would_lose` is what would be destroyed, and `foreseen` why the
    action will not do what it is for, as far as the mirror knows, or what is not pushed of its project. Both are blank
    if nothing.
    """

    commands: list[list[str]]
    unix_name: str
    needs_approval: bool
    effect: Effect | None
    would_lose: str
    foreseen: str


def preview_action(request: ActionRequest, facts: Facts | None = None) -> Preview:
    """Return what the action would do, changing nothing; raises as request_action does.

    `facts` are those that were read for many requests.
    """
    checked = check(permit(request), facts or Facts([request]), recall_workflow)
    experiment: Any = request.experiment
    return Preview(
        commands=checked.commands,
        unix_name=checked.unix_name,
        needs_approval=request.site.needs_approval(request.kind),
        effect=work_out_effect(request.kind, experiment, checked.parameters),
        would_lose=checked.would_lose,
        foreseen=_foresee(request, checked.parameters),
    )


def _foresee(request: ActionRequest, parameters: Mapping[str, Any]) -> str:
    """Return why the run will not do it, or what is not pushed of the project that it would run."""
    if request.experiment is None:
        return ""
    doubt = request.kind.foresee_failure(cast("ExperimentFacts", request.experiment), parameters)
    return doubt or find_unpushed(request.kind, request.experiment)


def work_out_effect(kind: ActionKind, experiment: Experiment | None, parameters: Mapping[str, Any]) -> Effect | None:
    """Return what an action with validated parameters would change; None for a kind that does not say.

    While the job list cannot be read it is what would change if the jobs were as they were read last, with that
    warning.
    """
    if kind.preview is None or experiment is None:
        return None
    effect = kind.preview(recall_workflow(experiment), parameters, None)
    if experiment.problem:
        warnings = [say("This may be out of date. {problem}", problem=experiment.problem), *effect.warnings]
        return replace(effect, warnings=warnings)
    return effect


def find_would_be_changes(action: Action, reported: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the jobs that a dry run of Autosubmit would have changed, and their new status.

    `recovery` reports each job, also those that keep their status, and says WAITING for what becomes READY.
    """
    preview = action.catalogue_kind.preview
    if preview is None or action.experiment is None:
        return list(reported.items())
    effect = preview(read_workflow(action.experiment), action.parameters, reported)
    return [(change.job, change.new) for change in effect.changes or ()]


def shorten(commands: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return commands for who only looks: of a text that is very long, such as a list of names, the beginning."""
    return [[_shorten(word) for word in argv] for argv in commands]


def _shorten(word: str) -> str:
    left = len(word) - LONGEST_WORD
    return word if left <= 0 else f"{word[:LONGEST_WORD]}… and {left:,} characters more"
