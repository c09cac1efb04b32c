"""Taking back an action that has not started."""

from django.contrib.auth.models import User
from django.utils import timezone

from autosubmit_portal.access import policy
from autosubmit_portal.audit.origin import Origin
from experiments.actions.refusals import Conflict
from experiments.actions.transition import move, record
from experiments.models import Action, State


def cancel_action(action: Action, *, actor: User, origin: Origin) -> None:
    """Cancel a queued action.

    Raises Forbidden without the permission of its kind, Conflict when it has started; both are recorded.
    """
    try:
        _cancel(action, actor=actor, origin=origin)
    except (policy.Forbidden, Conflict) as refusal:
        record(action, "action.cancel_refused", origin=origin, message=str(refusal))
        raise


def _cancel(action: Action, *, actor: User, origin: Origin) -> None:
    policy.require_request(actor, action.catalogue_kind)
    if action.state == State.RUNNING or not move(
        action,
        State.CANCELLED,
        origin=origin,
        ended_at=timezone.now(),
        message=f"Cancelled by {origin.actor_name} before it started.",
    ):
        raise Conflict(
            f"Action {action.pk} is {action.state}: only a queued action can be cancelled.", action.pk
        )
