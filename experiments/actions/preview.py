"""What an action would change: the catalogue's preview of its kind, on the rows of the mirror."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from experiments.actions.parameters import validated
from experiments.actions.request import Request
from experiments.actions.workflows import seen_workflow_of, workflow_of
from experiments.catalogue.previews import Effect
from experiments.models import Action

LONGEST_WORD = 4000


def effect_of(request: Request) -> Effect | None:
    """Return what the action would change; None for a kind that does not say. Raises InvalidParameters.

    While the job list cannot be read it is what would change if the jobs were as they were read last, with that
    warning.
    """
    if request.kind.preview is None or request.experiment is None:
        return None
    parameters = validated(request.kind, request.parameters)
    effect = request.kind.preview(seen_workflow_of(request.experiment), parameters, None)
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


def shortened(commands: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return commands for who only looks: of a text that is very long, such as a list of names, the beginning."""
    return [[_shortened(word) for word in argv] for argv in commands]


def _shortened(word: str) -> str:
    left = len(word) - LONGEST_WORD
    return word if left <= 0 else f"{word[:LONGEST_WORD]}… and {left:,} characters more"
