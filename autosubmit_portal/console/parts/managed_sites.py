"""The sites at which somebody may change who may do what."""

from typing import Any

from django.db.models import QuerySet

from autosubmit_portal.access.rights import teams
from experiments.models import Site


def list_sites(actor: Any) -> QuerySet[Site]:
    """Return the sites whose roles, accounts and teams the actor may change."""
    sites = Site.objects.order_by("slug")
    return sites if teams.may_change_all(actor) else sites.filter(pk__in=teams.find_managed_sites(actor))


def may_manage_some_site(actor: Any) -> bool:
    """Answer whether the actor may change the rights at some site."""
    return teams.may_change_all(actor) or bool(teams.find_managed_sites(actor))
