"""What is done to a site or to what runs there, not to one experiment: its managers may, not those of teams there."""

from django.contrib.auth.models import User
from django.db.models import QuerySet

from autosubmit_portal.access.models import get_scope
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.teams import find_managed_sites
from autosubmit_portal.sentences import say
from experiments.models import Site
from experiments.permissions import Duty


def filter_sites(actor: policy.Actor, duty: Duty) -> QuerySet[Site]:
    """Return the sites where the actor has a duty."""
    if policy.may_request_everywhere(actor, duty):
        return Site.objects.all()
    is_limited = get_scope(actor).teams is not None or not policy.may_request(actor, duty)
    return Site.objects.none() if is_limited else Site.objects.filter(pk__in=find_managed_sites(actor))


def has_duty(actor: policy.Actor, site: Site, duty: Duty) -> bool:
    """Answer whether the actor has a duty at a site."""
    return filter_sites(actor, duty).filter(pk=site.pk).exists()


def require_duty(actor: User, site: Site, duty: Duty) -> None:
    """Raise Forbidden unless the actor has a duty at a site."""
    if not has_duty(actor, site, duty):
        raise refuse(actor, duty, str(site))


def refuse(actor: User, duty: Duty, where: str) -> policy.Forbidden:
    """Return the refusal of what an actor may not do somewhere."""
    permission = f"experiments.{duty.permission}"
    reason = say(
        "{actor} may not {verb} {where}: the role manager at the site is missing, and so is "
        "the permission {permission}, which would allow it everywhere. Ask a manager for one "
        "of them.",
        actor=actor,
        verb=duty.verb,
        where=where,
        permission=permission,
    )
    return policy.Forbidden(reason, permission)
