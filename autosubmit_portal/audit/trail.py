"""The only writer of the audit trail."""

from typing import Any

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Origin


def record(
    event: str,
    *,
    origin: Origin,
    subject: str = "",
    site: str = "",
    expid: str = "",
    action_id: int | None = None,
    kind: str = "",
    details: dict[str, Any] | None = None,
    message: str = "",
) -> AuditEntry:
    """Add one entry. Call it in the transaction of the change that it records, so that neither is without the other.

    `event` is `<thing>.<what happened>`, such as `action.requested`; `details` must be JSON.
    """
    return AuditEntry.objects.create(
        event=event,
        actor_name=origin.actor_name,
        actor_id=origin.actor_id,
        address=origin.address,
        door=origin.door,
        subject=_storable(subject)[:300],
        site=_storable(site)[:50],
        expid=_storable(expid)[:50],
        action_id=action_id,
        kind=kind,
        details=_storable(details or {}),
        message=_storable(message),
    )


def _storable(value: Any) -> Any:
    """Return text and JSON that every database takes: whatever somebody sent, its refusal must be recorded."""
    if isinstance(value, str):
        return value.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
