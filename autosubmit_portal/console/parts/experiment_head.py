"""The head of all pages of an experiment: its state, what can be done now, and the tabs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console.parts import actions
from experiments.catalogue.kinds import GENERATE, RUN, STOP, ActionKind, Target
from experiments.models import Experiment

TARGETS = (Target.EXPERIMENT, Target.JOBS)
# The first of these that is possible now is what most people have come for.
LEADING = (STOP.name, RUN.name, GENERATE.name)


@dataclass(frozen=True, slots=True)
class Head:
    """The button that leads, if there is one, the others, and what the user may not request."""

    leading: actions.Button | None
    others: Sequence[actions.Button]
    refused: Sequence[tuple[ActionKind, policy.Decision]]


def make_head_context(request: HttpRequest, experiment: Experiment, tab: str = "") -> dict[str, Any]:
    """Return what the head of a page shows; the experiment must come from `annotate_active_action()`.

    `tab` is the name of the tab that the page is, blank for the overview.
    """
    return {"experiment": experiment, "tab": tab, "head": _make_head(request, experiment)}


def _make_head(request: HttpRequest, experiment: Experiment) -> Head:
    subject = actions.Subject(site=experiment.site, experiment=experiment)
    decided = actions.decide_each(request.user, actions.list_kinds(TARGETS), subject)
    kinds = [kind for kind, decision in decided if decision.allowed]
    buttons = actions.make_buttons(request, subject, kinds, "experiments_experiment_request", experiment)
    leading = _choose_leading(buttons)
    return Head(
        leading=leading,
        others=[button for button in buttons if button is not leading],
        refused=[(kind, decision) for kind, decision in decided if not decision.allowed],
    )


def _choose_leading(buttons: Iterable[actions.Button]) -> actions.Button | None:
    """Return the first that is possible; where none is, the first, which says why."""
    by_name = {button.kind.name: button for button in buttons}
    offered = [by_name[name] for name in LEADING if name in by_name]
    possible = [button for button in offered if button.obstacle is None]
    return next(iter([*possible, *offered]), None)
