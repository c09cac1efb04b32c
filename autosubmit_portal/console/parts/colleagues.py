"""Who works with somebody: what forms offer that ask for a person."""

from typing import Any

from django.db.models import F

from autosubmit_portal.access.models import Membership
from autosubmit_portal.access.rights import policy

MOST = 100


def list_colleagues(user: Any) -> list[str]:
    """Return the names of those who are in a team with the user."""
    others = Membership.objects.current().filter(team__in=policy.find_own_teams(user)).exclude(user=user.pk)
    return list(others.order_by("user__username").values_list(F("user__username"), flat=True).distinct()[:MOST])
