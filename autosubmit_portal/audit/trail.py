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
        subject=subject[:300],
        site=site,
        expid=expid,
        action_id=action_id,
        kind=kind,
        details=details or {},
        message=message,
    )
