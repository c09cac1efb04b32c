"""The models of experiments and of what is done to them."""

from experiments.models.action import Action, annotate_active_action, annotate_active_action_id
from experiments.models.experiment import Experiment
from experiments.models.freeze import Freeze
from experiments.models.host import Host
from experiments.models.note import Note
from experiments.models.run import Run
from experiments.models.site import Site
from experiments.models.states import ACTIVE_STATES, MOVES, State
from experiments.models.step import Step

__all__ = [
    "ACTIVE_STATES",
    "MOVES",
    "Action",
    "Experiment",
    "Freeze",
    "Host",
    "Note",
    "Run",
    "Site",
    "State",
    "Step",
    "annotate_active_action",
    "annotate_active_action_id",
]
