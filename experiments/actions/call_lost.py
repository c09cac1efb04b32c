"""Calling a command lost that nobody can see: only a manager does, because nothing is evidence that it has ended."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say
from experiments import commands
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.site_duties import has_duty, require_duty
from experiments.actions.slots import send_next
from experiments.actions.transition import make_origin_of_worker, move, record
from experiments.models import Action, State, Step
from experiments.permissions import CALL_LOST


def call_lost(action: Action, *, actor: User, origin: Origin, reason: str) -> None:
    """End an action whose command is not seen. Its host is told, when it is back, that the command must not start.

    Raises Forbidden without the duty at the site, InvalidParameters without a reason, and Conflict for a command that
    is seen; each is recorded.
    """
    try:
        require_duty(actor, action.site, CALL_LOST)
        if not reason.strip():
            raise InvalidParameters({"reason": [say("Say how you know that the command does not run any more.")]})
        _call_lost(action, origin, reason.strip())
    except (policy.Forbidden, Refusal) as refusal:
        record(action, "action.call_lost_refused", origin=origin, message=str(refusal))
        raise


def may_call_lost(action: Action, actor: policy.Actor) -> bool:
    """Answer whether to offer it; `call_lost` decides."""
    return _is_unseen(action) and has_duty(actor, action.site, CALL_LOST)


def tell_hosts(queue_name: str) -> None:
    """Tell the hosts of the sites of a queue what was called lost there, where they are back."""
    waiting = Step.objects.exclude(given_up_at=None).filter(action__site__queue=queue_name)
    for step in waiting.select_related("host", "action__site").order_by("pk"):
        try:
            is_given_up = commands.tell_given_up(step)
        except commands.Unseen:
            continue
        if not is_given_up:
            message = say("It had started before it was called lost. Look at the experiment: it may run still.")
            record(step.action, "action.found_started", origin=make_origin_of_worker(step.action), message=message)


def _call_lost(action: Action, origin: Origin, reason: str) -> None:
    now = timezone.now()
    message = say(
        "Called lost by {name}: {before} Reason: {reason}", name=origin.actor_name, before=action.message, reason=reason
    )
    with transaction.atomic():
        unseen = Action.objects.filter(pk=action.pk, state=State.RUNNING, step=action.step).exclude(unseen_since=None)
        if not unseen.update(unseen_since=None, ended_at=now):
            action.refresh_from_db()
            raise Conflict(_explain_refusal(action), action.pk)
        Step.objects.filter(action=action.pk, number=action.step).update(given_up_at=now)
        move(action, frm=State.RUNNING, to=State.LOST, origin=origin, message=message)
    send_next(action.site)


def _explain_refusal(action: Action) -> str:
    if action.state != State.RUNNING:
        return say("Action {pk} is {state}: there is nothing to call lost.", pk=action.pk, state=action.state)
    return say("The command of action {pk} is seen. Cancel it, or stop the experiment, instead.", pk=action.pk)


def _is_unseen(action: Action) -> bool:
    return action.state == State.RUNNING and action.unseen_since is not None
