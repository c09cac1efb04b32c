"""The experiment that a list is about, where its address says one."""

from typing import Any

from django.http import HttpRequest

from experiments.models import Experiment


def choose_experiment(request: HttpRequest, experiment: Experiment) -> None:
    """Say which experiment, that somebody may see, the list that is about to be made is about."""
    made: Any = request
    made.chosen_experiment = experiment


def get_chosen_experiment(request: HttpRequest) -> Experiment | None:
    """Return the experiment that the list is about; None if it is about all."""
    experiment: Experiment | None = getattr(request, "chosen_experiment", None)
    return experiment
