"""Who may change what of a team, and how an experiment is added to one by hand."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from autosubmit_portal.access.models import Coverage, Membership, Team, TeamExperiment
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.grants import Part, read_grants
from autosubmit_portal.access.rights.policy import Actor
from autosubmit_portal.access.roles import MANAGE_TEAMS, Role


def add_experiment(team: Team, experiment: Any) -> bool:
    """Add an experiment to a team by hand and answer whether that was needed: its coverage may have it already."""
    columns = team.coverages.values_list("site_id", "owner", "hpc", "expid_pattern")
    if any(Part(*conditions).is_of(experiment) for conditions in columns):
        return False
    return TeamExperiment.objects.get_or_create(team=team, experiment=experiment)[1]


def may_change_all(actor: Actor) -> bool:
    """Return whether the actor may change every team, and roles and accounts at every site."""
    return bool(getattr(actor, "has_perm", lambda _: False)(f"access.{MANAGE_TEAMS}"))


def find_managed_sites(actor: Actor) -> set[int]:
    """Return the sites at which the actor is manager, whose roles, accounts and teams they may change."""
    managing = read_grants(actor).filter_least(Role.MANAGER)
    return {grant.part.site for grant in managing if grant.is_of_site and grant.part and grant.part.site}


def may_see_some(actor: Actor) -> bool:
    """Return whether the actor is in a team or may make one."""
    return may_change_all(actor) or bool(find_managed_sites(actor) or policy.find_own_teams(actor))


def filter_teams(actor: Actor) -> QuerySet[Team]:
    """Return the teams that the actor is in or may change; all teams for managers of all."""
    if may_change_all(actor):
        return Team.objects.all()
    own = {grant.team for grant in read_grants(actor).held if grant.team is not None}
    sites = find_managed_sites(actor)
    return Team.objects.filter(Q(pk__in=own) | Q(pk__in=_filter_within(sites).values("pk")))


def filter_memberships(actor: Actor) -> QuerySet[Membership]:
    """Return who is in the teams that the actor sees."""
    every = Membership.objects.all()
    return every if may_change_all(actor) else every.filter(team__in=filter_teams(actor))


def may_change(actor: Actor, team: Team) -> bool:
    """Return whether the actor may change everything about a team: one that lies wholly at sites of theirs."""
    return may_change_all(actor) or _filter_within(find_managed_sites(actor)).filter(pk=team.pk).exists()


def may_change_members(actor: Actor, team: Team) -> bool:
    """Return whether the actor may change who is in a team: its managers may, and whoever may change all about it."""
    return is_manager_of(actor, team) or may_change(actor, team)


def is_manager_of(actor: Actor, team: Team) -> bool:
    """Return whether the actor is manager in the team itself."""
    return any(grant.team == team.pk for grant in read_grants(actor).filter_least(Role.MANAGER))


def _filter_within(sites: set[int]) -> QuerySet[Team]:
    """Return the teams that have something at these sites and nothing elsewhere."""
    if not sites:
        return Team.objects.none()
    covered = Coverage.objects.filter(team=OuterRef("pk"))
    picked = TeamExperiment.objects.filter(team=OuterRef("pk"))
    here = Exists(covered.filter(site__in=sites)) | Exists(picked.filter(experiment__site__in=sites))
    elsewhere = Exists(covered.exclude(site__in=sites)) | Exists(picked.exclude(experiment__site__in=sites))
    return Team.objects.filter(here).exclude(elsewhere)
