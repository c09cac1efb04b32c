"""The newest entries of the trail, as pages show them beside other things."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.models import AuditEntry

# An action with an approval and a second step makes no more.
ENTRIES_OF_AN_ACTION = 5

Choose = Callable[[], QuerySet[AuditEntry]]


def list_newest(user: Any, choose: Choose, most: int) -> list[AuditEntry] | None:
    """Return the newest of the chosen entries; None when the user may not see the trail."""
    if not policy.may_view(user, AuditEntry):
        return None
    return list(choose().defer("details").order_by("-pk")[:most])


def list_last_words(user: Any, choose: Choose, most: int) -> list[AuditEntry] | None:
    """Return the same, of each action only its last entry: what has succeeded was requested and started."""
    newest = list_newest(user, choose, ENTRIES_OF_AN_ACTION * most)
    if newest is None:
        return None
    last = {entry.action_id or -entry.pk: entry for entry in reversed(newest)}
    return sorted(last.values(), key=lambda entry: -entry.pk)[:most]
