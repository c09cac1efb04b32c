"""Which experiments somebody calls theirs: their own, or those of their teams. This gives no rights."""

from typing import Any

from django.db.models import Q

from autosubmit_portal.access.models import SiteAccount
from autosubmit_portal.access.rights.grants import make_condition, read_grants
from autosubmit_portal.access.unix import get_uid


def make_own_condition(actor: Any) -> Q:
    """Return the condition that an experiment belongs to the Unix account that the actor has at its site."""
    found = Q(pk__in=[])
    for site, name in SiteAccount.objects.filter(user=actor.pk).values_list("site", "unix_name"):
        uid = get_uid(name)
        if uid is not None:
            found |= Q(site=site, owner_uid=uid)
    return found


def make_team_condition(actor: Any) -> Q:
    """Return the condition that an experiment is of a team of the actor."""
    condition = make_condition([grant for grant in read_grants(actor).held if grant.team is not None])
    return Q(pk__in=[]) if condition is None else condition
