"""Writes rows as the file has them. Each is saved or deleted by itself, so that the trail has each change."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model
from django.utils import timezone

from autosubmit_portal.access.models import (
    BY_HAND,
    Coverage,
    Identity,
    Membership,
    SiteAccount,
    SitePolicy,
    SiteRole,
    Team,
    TeamExperiment,
)
from autosubmit_portal.access.roles import Role
from autosubmit_portal.management.configuration.current import name_permission
from experiments.models import Experiment, Host, Site


def find_permissions(names: Sequence[str]) -> list[Permission]:
    """Return the permissions with these names."""
    return [one for one in Permission.objects.select_related("content_type") if name_permission(one) in set(names)]


def find_experiment(name: str) -> Experiment | None:
    """Return the experiment that is called `<site>/<expid>` and is in its store; None if there is none."""
    slug, _, expid = name.partition("/")
    return Experiment.objects.filter(site__slug=slug, expid=expid, gone_at=None).first()


def make_site(slug: str, settings: Mapping[str, Any], hosts: Sequence[str]) -> None:
    """Make a site; the host that it is given is the first of `hosts`."""
    put_site(Site(slug=slug, name=slug), settings)
    first = Host.objects.get(site__slug=slug)
    if hosts and first.name != hosts[0]:
        first.name = hosts[0]
        first.save()


def put_site(site: Site, settings: Mapping[str, Any]) -> None:
    """Set the columns of a site, and what its owners may do."""
    columns = {name: value for name, value in settings.items() if name != "owner_role"}
    if columns or site.pk is None:
        _save(site, columns)
    if "owner_role" in settings:
        policy = SitePolicy.objects.filter(site=site).first()
        if policy or settings["owner_role"]:
            _save(policy or SitePolicy(site=site), {"owner_role": _get_role(settings["owner_role"])})


def put_default_site(slug: str | None) -> None:
    """Let a site be the one that is meant when none is named, or none."""
    for site in [*Site.objects.filter(is_default=True), *Site.objects.filter(slug=slug)]:
        _save(site, {"is_default": site.slug == slug})


def put_hosts(slug: str, names: Sequence[str]) -> None:
    """Give a site these hosts, in this order, before those that it has besides."""
    site = Site.objects.get(slug=slug)
    hosts = {host.name: host for host in site.hosts.all()}
    for name in names:
        hosts.setdefault(name, Host(site=site, name=name))
    wanted = [*names, *(name for name in hosts if name not in names)]
    for position, name in enumerate(wanted):
        host = hosts[name]
        if host.pk is None or host.position != position:
            _save(host, {"position": position})


def remove_host(name: str) -> None:
    """Remove a host; its row stays as where commands have run."""
    _save(Host.objects.get(name=name), {"removed_at": timezone.now()})


def put_site_role(slug: str, username: str, role: str) -> None:
    """Give somebody a role at a site."""
    found = {"site": Site.objects.get(slug=slug), "user": _find_user(username), "source": BY_HAND}
    _put(SiteRole, found, {"role": _get_role(role)})


def drop_site_role(slug: str, username: str) -> None:
    """Take the role of somebody at a site."""
    SiteRole.objects.get(site__slug=slug, user__username=username, source=BY_HAND).delete()


def put_account(slug: str, username: str, unix_name: str) -> None:
    """Say who somebody is at a site."""
    _put(SiteAccount, {"site": Site.objects.get(slug=slug), "user": _find_user(username)}, {"unix_name": unix_name})


def drop_account(slug: str, username: str) -> None:
    """Forget who somebody is at a site."""
    SiteAccount.objects.get(site__slug=slug, user__username=username).delete()


def put_team(slug: str, settings: Mapping[str, Any]) -> None:
    """Make a team, or set what it is called and what it covers."""
    team = Team.objects.filter(slug=slug).first() or Team(slug=slug, name=slug)
    columns = {name: value for name, value in settings.items() if name != "covers"}
    if columns or team.pk is None:
        _save(team, columns)
    if "covers" in settings:
        _put_coverage(team, settings["covers"])


def _put_coverage(team: Team, lines: Sequence[Mapping[str, str]]) -> None:
    wanted = [_make_condition(line) for line in lines]
    for coverage in team.coverages.all():
        conditions = {name: getattr(coverage, name) for name in Coverage.CONDITIONS}
        if conditions in wanted:
            wanted.remove(conditions)
        else:
            coverage.delete()
    for conditions in wanted:
        Coverage(team=team, **conditions).save()


def _make_condition(line: Mapping[str, str]) -> dict[str, Any]:
    texts = {name: line.get(name, "") for name in Coverage.CONDITIONS}
    return texts | {"site": Site.objects.get(slug=texts["site"]) if texts["site"] else None}


def drop_team(slug: str) -> None:
    """Dissolve a team."""
    Team.objects.get(slug=slug).delete()


def put_member(slug: str, username: str, role: str) -> None:
    """Give somebody a role in a team."""
    found = {"team": Team.objects.get(slug=slug), "user": _find_user(username), "source": BY_HAND}
    _put(Membership, found, {"role": _get_role(role), "ends_at": None})


def drop_member(slug: str, username: str) -> None:
    """Take the role of somebody in a team."""
    Membership.objects.get(team__slug=slug, user__username=username, source=BY_HAND).delete()


def put_team_experiment(slug: str, name: str) -> None:
    """Add an experiment to a team by hand."""
    _save(TeamExperiment(team=Team.objects.get(slug=slug), experiment=find_experiment(name)), {})


def drop_team_experiment(slug: str, name: str) -> None:
    """Take an experiment that was added by hand from a team."""
    TeamExperiment.objects.get(team__slug=slug, experiment=find_experiment(name)).delete()


def put_group(name: str, settings: Mapping[str, Any]) -> None:
    """Make a group, or set its permissions."""
    group = Group.objects.get_or_create(name=name)[0]
    if "permissions" in settings:
        group.permissions.set(find_permissions(settings["permissions"]))


def drop_group(name: str) -> None:
    """Remove a group."""
    Group.objects.get(name=name).delete()


def put_in_group(username: str, group: str) -> None:
    """Put somebody into a group, by hand: an identity provider that gave it cannot take it any more."""
    user, given = _find_user(username), Group.objects.get(name=group)
    user.groups.add(given)
    for identity in Identity.objects.filter(account__user=user):
        identity.groups.remove(given)


def drop_from_group(username: str, group: str) -> None:
    """Take somebody out of a group."""
    _find_user(username).groups.remove(Group.objects.get(name=group))


def put_permission(username: str, permission: str) -> None:
    """Give somebody a permission of their own."""
    _find_user(username).user_permissions.add(*find_permissions([permission]))


def drop_permission(username: str, permission: str) -> None:
    """Take a permission of their own from somebody."""
    _find_user(username).user_permissions.remove(*find_permissions([permission]))


def _find_user(username: str) -> User:
    return User.objects.get(username=username)


def _get_role(name: str | None) -> Role | None:
    return Role[name.upper()] if name else None


def _put(model: type[Model], found: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    _save(model._default_manager.filter(**found).first() or model(**found), columns)


def _save(row: Model, columns: Mapping[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()
