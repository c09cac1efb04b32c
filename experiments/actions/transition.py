"""The only way to change the state of an action: a conditional update together with its audit entry."""

from typing import Any

from django.db import transaction

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from experiments.models import MOVES, Action, State
from jobs.autosubmit.secrets import mask_text, mask_value


def move(
    action: Action, *, frm: State, to: State, origin: Origin | None = None, event: str = "", **changes: Any
) -> bool:
    """Move the action from one state to another and set the fields in `changes`; return whether this call did it.

    False means that the action was in another state: somebody else was faster. A move that is not in MOVES is a
    ValueError. `origin` is by default the worker, on behalf of the actor; `event` is by default named after the state.
    """
    if frm not in MOVES[to]:
        raise ValueError(f"No action goes from {frm} to {to}.")
    with transaction.atomic():
        if not Action.objects.filter(pk=action.pk, state=frm).update(state=to, **changes):
            return False
        action.refresh_from_db()
        record(action, event or f"action.{to}", origin=origin or make_origin_of_worker(action))
    return True


def make_origin_of_worker(action: Action) -> Origin:
    """Return the origin of what a worker does for the actor of an action."""
    return Origin(
        door=Door.WORKER,
        actor_name=action.actor_name,
        actor_id=action.actor_id,
        on_behalf_of=action.on_behalf_of,
        on_behalf_of_id=action.lender_id,
    )


def record(
    action: Action, event: str, *, origin: Origin, details: dict[str, Any] | None = None, message: str = ""
) -> None:
    """Add the audit entry of something that happened to an action, by default with its parameters and command."""
    trail.record_all([draft(action, event, origin=origin, details=details, message=message)])


def draft(
    action: Action, event: str, *, origin: Origin, details: dict[str, Any] | None = None, message: str = ""
) -> trail.Draft:
    """Return the same entry to be recorded together with others."""
    return trail.draft(
        event,
        origin=origin,
        subject=action.expid or str(action.site),
        site=action.site.slug,
        expid=action.expid,
        action_id=action.pk,
        kind=action.kind,
        details=details or _describe(action),
        message=mask_text(message or action.message or action.reason),
    )


def _describe(action: Action) -> dict[str, Any]:
    details, _ = mask_value({"parameters": action.parameters, "command": action.command})
    if action.is_dry_run:
        details["is_dry_run"] = True
    if action.unix_name:
        details["unix_name"] = action.unix_name
    if action.state == State.AWAITING_APPROVAL:
        details["awaits_approval"] = True
    if action.approved_by_name:
        details["approved_by"] = action.approved_by_name
    if action.exit_status is not None:
        details["exit_status"] = action.exit_status
    if action.job_changes:
        details["job_changes"] = action.job_changes
    return details
