"""The configuration that the portal has, in the shape of its file."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet

from autosubmit_portal.access.models import BY_HAND, Coverage, Identity, SiteAccount, SiteRole, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.management.configuration.document import SITE_FIELDS, VERSION, Configuration
from experiments.models import Freeze, Site


def read_current() -> Configuration:
    """Return all of it, in an order that stays the same while nothing changes."""
    default = Site.objects.filter(is_default=True).first()
    return {
        "version": VERSION,
        "default_site": default.slug if default else None,
        "sites": {site.slug: _describe_site(site) for site in Site.objects.order_by("slug")},
        "teams": {team.slug: _describe_team(team) for team in Team.objects.order_by("slug")},
        "groups": {
            group.name: {"permissions": _name_permissions(group.permissions.select_related("content_type"))}
            for group in Group.objects.order_by("name")
        },
        "people": _describe_people(),
        "freezes": [describe_freeze(frozen) for frozen in list_freezes()],
    }


def make_writable(configuration: Configuration) -> Configuration:
    """Return a configuration with its times as text."""
    freezes = [
        frozen | {name: frozen[name] and frozen[name].isoformat() for name in ("starts_at", "ends_at")}
        for frozen in configuration["freezes"]
    ]
    return configuration | {"freezes": freezes}


def name_permission(permission: Permission) -> str:
    """Return the name of a permission as code asks for it: `experiments.request_run`."""
    return f"{permission.content_type.app_label}.{permission.codename}"


def list_freezes() -> QuerySet[Freeze]:
    """Return the freezes that hold or are planned. One that is over is history."""
    order = ("site__slug", "platform", "starts_at", "message", "pk")
    return Freeze.objects.current().select_related("site").order_by(*order)


def describe_freeze(frozen: Freeze) -> dict[str, Any]:
    """Return a freeze as the file has it."""
    return {
        "site": frozen.site.slug,
        "platform": frozen.platform,
        "message": frozen.message,
        "starts_at": frozen.starts_at.astimezone(UTC),
        "ends_at": frozen.ends_at and frozen.ends_at.astimezone(UTC),
    }


def _describe_site(site: Site) -> dict[str, Any]:
    policy = getattr(site, "policy", None)
    roles = SiteRole.objects.filter(site=site, source=BY_HAND)
    accounts = SiteAccount.objects.filter(site=site).order_by("user__username")
    return {
        **{name: getattr(site, name) for name in SITE_FIELDS},
        "owner_role": _name_role(policy.owner_role) if policy else None,
        "hosts": [host.name for host in site.hosts.all()],
        "roles": _name_roles(roles),
        "accounts": dict(accounts.values_list("user__username", "unix_name")),
    }


def _describe_team(team: Team) -> dict[str, Any]:
    picked = team.picked.filter(experiment__gone_at=None).order_by("experiment__site__slug", "experiment__expid")
    return {
        "name": team.name,
        "description": team.description,
        "covers": sort_conditions(map(_describe_condition, team.coverages.select_related("site"))),
        "experiments": [
            f"{slug}/{expid}" for slug, expid in picked.values_list("experiment__site__slug", "experiment__expid")
        ],
        "members": _name_roles(team.memberships.filter(source=BY_HAND, ends_at=None)),
    }


def _describe_condition(coverage: Coverage) -> dict[str, str]:
    given = ((name, getattr(coverage, name)) for name in Coverage.CONDITIONS)
    return {name: str(value) for name, value in given if value}


def sort_conditions(conditions: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return the lines of a coverage in one order: none comes before another."""
    return sorted(conditions, key=lambda line: [line.get(name, "") for name in Coverage.CONDITIONS])


def _describe_people() -> Configuration:
    """Return the groups and own permissions of people, without the groups that an identity provider gave them."""
    given = set(Identity.objects.values_list("account__user", "groups"))
    people = User.objects.filter(Q(groups__isnull=False) | Q(user_permissions__isnull=False)).distinct()
    found = {}
    for person in people.order_by("username").prefetch_related("groups", "user_permissions__content_type"):
        groups = sorted(group.name for group in person.groups.all() if (person.pk, group.pk) not in given)
        permissions = _name_permissions(person.user_permissions.all())
        if groups or permissions:
            found[person.username] = {"groups": groups, "permissions": permissions}
    return found


def _name_permissions(permissions: Iterable[Permission]) -> list[str]:
    return sorted(map(name_permission, permissions))


def _name_roles(rows: QuerySet[Any]) -> dict[str, str]:
    named = rows.order_by("user__username").values_list("user__username", "role")
    return {name: _name_role(role) or "" for name, role in named}


def _name_role(role: int | None) -> str | None:
    return None if role is None else Role(role).name.lower()
