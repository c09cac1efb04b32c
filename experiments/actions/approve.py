"""The second person: approving an action that waits for that, rejecting it, and its end when nobody does either.

Whoever may request such an action may approve it: the promise is that two people have looked, and a second person who
could have asked for the same alone anywhere else needs no higher role for that. Nobody is a second person to a request
that they made, whichever credential they come with, or that was made in their name.
"""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.sentences import say
from experiments.actions import queue
from experiments.actions.accounts import find_changed_account
from experiments.actions.action_request import ActionRequest
from experiments.actions.checks import Facts, check, permit, require_right
from experiments.actions.recheck import Accounts, find_lost_right
from experiments.actions.refusals import Conflict, InvalidParameters, NotASecondPerson, Refusal
from experiments.actions.transition import make_origin_of_worker, move, record
from experiments.actions.workflows import recall_workflow
from experiments.models import Action, State


def approve(action: Action, *, actor: User, origin: Origin) -> None:
    """Queue an action that waits for approval, if everything that was checked when it was asked for still holds.

    Raises Forbidden without the permission of its kind, NotASecondPerson, or Conflict; each is recorded.
    """
    try:
        origin = _require_second_person(action, actor, origin)
        _require_waiting(action)
        _require_unchanged(action)
        _approve(action, actor, origin)
    except (policy.Forbidden, Refusal) as refusal:
        record(action, "action.approval_refused", origin=origin, message=str(refusal))
        raise


def reject(action: Action, *, actor: User, origin: Origin, reason: str) -> None:
    """Cancel an action that waits for approval, and tell who asked for it why.

    Raises as approve does, and InvalidParameters without a reason; each is recorded.
    """
    try:
        origin = _require_second_person(action, actor, origin)
        if not reason.strip():
            raise InvalidParameters({"reason": [say("Say why, for the person who asked.")]})
        message = say("Rejected by {name}: {reason}", name=origin.actor_name, reason=reason.strip())
        if not _end(action, message, origin=origin, event="action.rejected", cancelled_by=origin.actor_name):
            raise _make_conflict(action)
    except (policy.Forbidden, Refusal) as refusal:
        record(action, "action.approval_refused", origin=origin, message=str(refusal))
        raise


def expire(action: Action) -> None:
    """Cancel an action that nobody has approved in time. Harmless when somebody was faster."""
    message = say("Nobody approved it until {at}.", at=f"{action.approval_expires_at:%Y-%m-%d %H:%M} UTC")
    _end(action, message, origin=Origin(door=Door.WORKER), event="action.expired")


def may_approve(action: Action, actor: User) -> bool:
    """Answer whether to offer approving and rejecting; `approve` and `reject` decide."""
    try:
        _require_second_person(action, actor, Origin.make(actor, door=Door.ADMIN))
    except (policy.Forbidden, Refusal):
        return False
    return action.state == State.AWAITING_APPROVAL


def _require_second_person(action: Action, actor: User, origin: Origin) -> Origin:
    """Return the origin with whom the actor decides for; raise unless all of them are other people than asked for it.

    Two who act for the same person are no two people, and neither is that person a second one. Accounts count, and not
    their names, which may be changed and given to others.
    """
    kind, site, experiment = action.catalogue_kind, action.site, action.experiment
    origin = require_right(actor, kind, origin, site=site, experiment=experiment)
    asked = {action.actor_id, action.lender_id} - {None}
    if asked & {actor.pk, origin.on_behalf_of_id}:
        whom = f" for {origin.on_behalf_of}" if origin.on_behalf_of else ""
        names = " for ".join(filter(None, (action.actor_name, action.on_behalf_of)))
        raise NotASecondPerson(
            say(
                "{names} asked for action {pk}; {actor}{whom} is no second person. Ask another person.",
                names=names,
                pk=action.pk,
                actor=actor,
                whom=whom,
            )
        )
    return origin


def _require_waiting(action: Action) -> None:
    if action.state != State.AWAITING_APPROVAL:
        raise _make_conflict(action)
    if action.approval_expires_at and action.approval_expires_at <= timezone.now():
        raise Conflict(say("Action {pk} has waited too long and is being cancelled.", pk=action.pk), action.pk)


def _require_unchanged(action: Action) -> None:
    """Check the request again as it was made, and that it still means the same commands."""
    accounts = Accounts()
    lost = find_lost_right(action, accounts)
    if lost:
        raise Conflict(say("It could not be asked for any more. {reason}", reason=lost), action.pk)
    request = ActionRequest(
        actor=accounts.find_asker(action),
        origin=make_origin_of_worker(action),
        kind=action.catalogue_kind,
        site=action.site,
        experiment=action.experiment,
        parameters=action.parameters,
        made=action.pk,
    )
    try:
        commands = check(permit(request), Facts([request]), recall_workflow).commands
    except (policy.Forbidden, InvalidParameters) as refusal:
        raise Conflict(say("It could not be asked for any more. {reason}", reason=refusal), action.pk) from refusal
    if find_changed_account(action):
        raise Conflict(find_changed_account(action), action.pk)
    if commands != action.command:
        raise Conflict(say("It would run other commands by now than were asked for. Request it again."), action.pk)


def _approve(action: Action, actor: User, origin: Origin) -> None:
    """Move the action on and send it to its queue, in one transaction."""
    approved = {"approved_by": actor, "approved_by_name": origin.actor_name, "approved_at": timezone.now()}
    with transaction.atomic():
        moved = move(
            action, frm=State.AWAITING_APPROVAL, to=State.QUEUED, origin=origin, event="action.approved", **approved
        )
        if moved:
            queue.send(action)
    if not moved:
        raise _make_conflict(action)


def _end(action: Action, message: str, *, origin: Origin, event: str, **changes: Any) -> bool:
    return move(
        action,
        frm=State.AWAITING_APPROVAL,
        to=State.CANCELLED,
        origin=origin,
        event=event,
        ended_at=timezone.now(),
        message=message,
        **changes,
    )


def _make_conflict(action: Action) -> Conflict:
    action.refresh_from_db()
    return Conflict(
        say("Action {pk} is {state}: it does not wait for approval.", pk=action.pk, state=action.state), action.pk
    )
