"""The commands of the catalogue by their words."""

from experiments.autosubmit.command import Command
from experiments.autosubmit.output import Outcome
from experiments.catalogue.kinds import CATALOGUE

_COMMANDS = {step.name: step for kind in CATALOGUE.values() for step in kind.steps}


def outcome_of(word: str, exit_status: int, text: str) -> Outcome:
    """Return the outcome of a command of Autosubmit, which need not be one of the catalogue."""
    command = _COMMANDS.get(word) or Command(words=(word,))
    return command.outcome(exit_status, text)
