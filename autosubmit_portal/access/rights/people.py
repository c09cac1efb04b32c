"""Who may have rights on an experiment, and what the policy needs to decide about all of them in a few queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db.models import Q, QuerySet

from autosubmit_portal.access.models import (
    UNLIMITED,
    Delegation,
    Membership,
    SiteAccount,
    SiteRole,
    Team,
    TeamExperiment,
    get_scope,
)
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.grants import Part, read_grants, read_grants_of
from autosubmit_portal.access.rights.lending import read_loans, read_loans_of
from autosubmit_portal.access.rights.teams import find_managed_sites, may_change_all


def may_see_people(actor: Any, experiment: Any) -> bool:
    """Return whether the actor sees the rights of others: managers of all teams, and of the site of the experiment."""
    return may_change_all(actor) or experiment.site_id in find_managed_sites(actor)


def may_see_accounts(actor: Any) -> bool:
    """Return whether the actor sees all accounts: who has a permission to see or change them, which no role has."""
    return bool(policy.list_browsable(actor, [User]))


def may_add_accounts(actor: Any) -> bool:
    """Return whether the actor may make accounts: who holds both permissions that the form of Django asks for."""
    return get_scope(actor) == UNLIMITED and bool(actor.has_perms(("auth.add_user", "auth.change_user")))


def filter_people(actor: Any) -> "QuerySet[User]":
    """Return the accounts whose pages the actor sees: all, or their own."""
    return User.objects.all() if may_see_accounts(actor) else User.objects.filter(pk=actor.pk)


def filter_covering(teams: "QuerySet[Team]", experiment: Any) -> list[Team]:
    """Return those of the teams that an experiment is of, by their coverage or by hand."""
    picked = _find_picking(experiment)
    return [
        team
        for team in teams.prefetch_related("coverages").order_by("slug")
        if team.pk in picked or any(_is_of(experiment, row) for row in team.coverages.all())
    ]


def _is_of(experiment: Any, row: Any) -> bool:
    return Part(row.site_id, row.owner, row.hpc, row.expid_pattern).is_of(experiment)


def _find_picking(experiment: Any) -> frozenset[int]:
    rows = TeamExperiment.objects.filter(experiment=experiment.pk)
    return frozenset(rows.values_list("team_id", flat=True))


def list_candidates(experiment: Any) -> "QuerySet[User]":
    """Return the open accounts that may have a right on an experiment, by name; some have none, all others have none.

    They hold a permission or a role somewhere that may reach it, or something was lent to them.
    """
    teams = [team.pk for team in filter_covering(Team.objects.all(), experiment)]
    of_experiments = Q(content_type__app_label__in=("experiments", "jobs"))
    permissions = Permission.objects.filter(of_experiments)
    lent = Delegation.objects.active().filter(Q(experiment=experiment.pk) | Q(experiment=None))
    sources: list[QuerySet[Any]] = [
        Membership.objects.current().filter(team__in=teams).values("user"),
        SiteRole.objects.filter(site=experiment.site_id).values("user"),
        SiteAccount.objects.filter(site=experiment.site_id).values("user"),
        lent.values("grantee"),
        User.groups.through.objects.filter(group__permissions__in=permissions).values("user"),
        User.user_permissions.through.objects.filter(permission__in=permissions).values("user"),
    ]
    any_of = Q(is_superuser=True)
    for source in sources:
        any_of |= Q(pk__in=source)
    return User.objects.filter(any_of, is_active=True).order_by("username")


def read_together(users: Sequence[User], experiment: Any) -> None:
    """Read what the policy needs to decide about these accounts and an experiment, so that it asks for nothing more."""
    if not users:
        return
    read_grants_of(users)
    read_loans_of(users)
    loans = [loan for user in users for loan in read_loans(user)]
    lenders = [loan.grantor for loan in loans]
    if lenders:
        read_grants_of(lenders)
    holders = [*users, *lenders]
    _read_permissions(holders)
    picking = _find_picking(experiment)
    for grants in (*map(read_grants, holders), *(loan.team for loan in loans if loan.team)):
        grants.note_picking(experiment.pk, picking)


def _read_permissions(holders: Iterable[Any]) -> None:
    """Let accounts know which permissions they hold everywhere, as Django would ask for each of them."""
    keys = {holder.pk for holder in holders}
    names = ("content_type__app_label", "codename")
    of_groups = User.groups.through.objects.filter(user__in=keys)
    own = User.user_permissions.through.objects.filter(user__in=keys)
    found: dict[int, set[str]] = defaultdict(set)
    for rows, path in ((of_groups, "group__permissions__"), (own, "permission__")):
        for key, app, codename in rows.values_list("user_id", *(f"{path}{name}" for name in names)):
            found[key].add(f"{app}.{codename}")
    for holder in holders:
        holder._perm_cache = found[holder.pk]
