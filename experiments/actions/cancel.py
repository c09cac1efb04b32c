"""Taking back an action that waits, and ending a command that is not a run."""

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say
from experiments.actions.checks import require_right
from experiments.actions.queue import ring
from experiments.actions.refusals import Conflict
from experiments.actions.transition import move, record
from experiments.models import Action, State


def cancel_action(action: Action, *, actor: User, origin: Origin) -> None:
    """Cancel a waiting action at once; ask the worker to end the command of a running one.

    Raises Forbidden without the permission of its kind, Conflict when it has ended or is a run; both are recorded.
    """
    try:
        _cancel(action, actor=actor, origin=origin)
    except (policy.Forbidden, Conflict) as refusal:
        record(action, "action.cancel_refused", origin=origin, message=str(refusal))
        raise


def call_off_waiting(reason: str, origin: Origin) -> list[Action]:
    """Cancel every action without a command yet, as after a restore: it may have run since. Return those that were.

    A worker may have taken one and not have decided on its first command: taken over, that would start anew.
    """
    undecided = Q(pk__in=Action.objects.waiting().values("pk")) | Q(state=State.RUNNING, steps=None)
    rows = Action.objects.filter(undecided).defer_long_fields().select_related("site", "experiment").order_by("pk")
    return [action for action in rows if _call_off(action, reason, origin)]


def _call_off(action: Action, reason: str, origin: Origin) -> bool:
    frm, message = State(action.state), f"Called off: {reason}"
    return move(action, frm=frm, to=State.CANCELLED, origin=origin, ended_at=timezone.now(), message=message)


def _cancel(action: Action, *, actor: User, origin: Origin) -> None:
    origin = require_right(actor, action.catalogue_kind, origin, site=action.site, experiment=action.experiment)
    if action.state == State.RUNNING:
        _cancel_running(action, origin)
    elif not move(
        action,
        frm=State.AWAITING_APPROVAL if action.state == State.AWAITING_APPROVAL else State.QUEUED,
        to=State.CANCELLED,
        origin=origin,
        ended_at=timezone.now(),
        message=say("Cancelled by {name} before it started.", name=origin.actor_name),
    ):
        raise Conflict(
            say("Action {pk} is {state}: there is nothing to cancel.", pk=action.pk, state=action.state), action.pk
        )


def _cancel_running(action: Action, origin: Origin) -> None:
    """Leave the request in the row: whoever follows the command ends it, on whichever host that is."""
    if action.current_command.is_long:
        raise Conflict(
            say("Action {pk} is a run of {expid}. Stop the experiment instead.", pk=action.pk, expid=action.expid),
            action.pk,
        )
    seen = {"state": State.RUNNING, "step": action.step, "cancel_requested_at": None}
    changes = {"cancel_requested_at": timezone.now(), "cancelled_by": origin.actor_name}
    with transaction.atomic():
        if not Action.objects.filter(pk=action.pk, **seen).update(**changes):
            raise Conflict(
                say("Action {pk} has just moved on, or is being cancelled already.", pk=action.pk), action.pk
            )
        record(action, "action.cancel_requested", origin=origin)
    action.refresh_from_db()
    ring(action.site)
