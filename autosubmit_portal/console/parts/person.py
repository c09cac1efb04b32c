"""What the page of a person shows: only what whoever looks may see elsewhere too."""

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Permission, User
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access import accounts
from autosubmit_portal.access.models import BY_HAND, ApiToken, Identity, Membership, SiteAccount, SiteRole
from autosubmit_portal.access.rights import teams
from autosubmit_portal.access.rights.delegations import filter_delegations
from autosubmit_portal.access.roles import LIFT_LOCKOUTS
from autosubmit_portal.access.sign_in import lockout
from autosubmit_portal.access.sources import name_source, say_source
from autosubmit_portal.console.parts import acts
from experiments import activity
from experiments.models import Site

MOST_ACTS, MOST_LENT, MOST_TOKENS = 10, 20, 50

# What Django's own permissions allow to do to the rows of a model.
ON_ROWS = {
    "add": gettext_lazy("Add {thing}"),
    "change": gettext_lazy("Change {thing}"),
    "delete": gettext_lazy("Delete {thing}"),
    "view": gettext_lazy("View {thing}"),
}


def describe_permission(permission: Permission) -> str:
    """Return what a permission allows, in the language of the page."""
    action, _, name = permission.codename.partition("_")
    model = permission.content_type.model_class()
    if action in ON_ROWS and model is not None and name == model._meta.model_name:
        return ON_ROWS[action].format(thing=model._meta.verbose_name)
    return gettext(accounts.describe_permission(permission))


def make_person_context(reader: Any, person: Any) -> dict[str, Any]:
    """Return what of a person the reader may see."""
    lent = filter_delegations(reader).select_related("grantor", "grantee", "team", "experiment__site")
    tokens = ApiToken.objects.visible_to(reader).filter(user=person).prefetch_related("teams")
    found = activity.read_acts(reader, activity.Choice(person=person.username), MOST_ACTS)
    may_unlock = reader.has_perm(f"axes.{LIFT_LOCKOUTS}")
    return {
        "person": person,
        "is_me": person.pk == reader.pk,
        "ways_in": list_ways_in(person),
        "everywhere": list_everywhere(person),
        **read_places(reader, person),
        "tokens": list(tokens.order_by("-created")[:MOST_TOKENS]),
        "lent": list(lent.filter(Q(grantor=person) | Q(grantee=person)).order_by("-pk")[:MOST_LENT]),
        "acts": acts.tell(found.rows),
        "may_unlock": may_unlock,
        "locked_until": lockout.find_end(person.username, None) if may_unlock else None,
    }


def read_places(reader: Any, person: User) -> dict[str, Any]:
    """Return the memberships of a person, and their roles and Unix accounts at sites, that the reader may see."""
    memberships = Membership.objects.filter(user=person).select_related("team").order_by("team__slug")
    roles = SiteRole.objects.filter(user=person).select_related("site").order_by("site__slug")
    unix = SiteAccount.objects.filter(user=person).select_related("site").order_by("site__slug")
    if person.pk != reader.pk:
        memberships = memberships.filter(team__in=teams.filter_teams(reader))
        sites = Site.objects.all() if teams.may_change_all(reader) else teams.find_managed_sites(reader)
        roles, unix = roles.filter(site__in=sites), unix.filter(site__in=sites)
    return {"memberships": list(memberships), "site_roles": list(roles), "unix_accounts": list(unix)}


def list_ways_in(person: Any) -> list[str]:
    """Return how somebody signs in, in words."""
    ways = ["password"] if person.has_usable_password() else []
    return [*ways, *(name_source(one.provider) for one in person.socialaccount_set.all())] or [gettext("no way yet")]


def list_everywhere(person: User) -> list[tuple[str, str]]:
    """Return what a person may do everywhere, each with where it comes from."""
    identities = Identity.objects.filter(account__in=SocialAccount.objects.filter(user=person))
    provided = {
        group: source for source, group in identities.values_list("account__provider", "groups") if group is not None
    }
    held = [(gettext("Administrator: everything"), gettext("by hand"))] if person.is_superuser else []
    held += [(group.name, say_source(provided.get(group.pk, BY_HAND))) for group in person.groups.all()]
    single = Permission.objects.filter(user=person).order_by("name")
    return [*held, *((describe_permission(permission), gettext("by hand")) for permission in single)]
