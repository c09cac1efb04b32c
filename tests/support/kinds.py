"""What tests ask of any entry of the catalogue: where it is asked for, and what the end of its command means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.autosubmit.command import Command
from experiments.autosubmit.output import Outcome
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target

ANY_COMMAND = str(Path(__file__).with_name("rest_of_words.sh"))
"""A program of a site: what stands after the first word is the command."""

_COMMANDS = {step.name: step for kind in CATALOGUE.values() for step in kind.steps}


def outcome_of(word: str, exit_status: int, text: str) -> Outcome:
    """Return the outcome of a command of Autosubmit, which need not be one of the catalogue."""
    command = _COMMANDS.get(word) or Command(words=(word,))
    return command.outcome(exit_status, text)


def commands_of(kind: ActionKind, expid: str, parameters: Mapping[str, Any]) -> list[list[str]]:
    """Return what a kind runs, in order, without the programs."""
    return [argv for step in kind.steps for argv in step.make_argvs(expid, parameters)]


def route_of(kind: ActionKind, expid: str = "a000") -> tuple[str, str]:
    """Return the method and the address that ask for a kind; jobs become READY by it."""
    match kind.target, kind.is_edit:
        case Target.SITE, _:
            return "post", "/v4/experiments?site=local"
        case Target.JOBS, True:
            return "patch", f"/v4/experiments/{expid}/jobs?status=READY&live={str(kind.needs_run).lower()}"
        case Target.EXPERIMENT, True:
            return "patch", f"/v4/experiments/{expid}?"
    return "post", f"/v4/experiments/{expid}?action={kind.name}"


def body_of(kind: ActionKind, jobs: list[str]) -> dict[str, object]:
    """Return a body that a kind is content with, about these jobs where it is about jobs."""
    if kind.target is Target.JOBS:
        return {"jobs": jobs}
    return {option.name: option.example for option in kind.options if option.required}
