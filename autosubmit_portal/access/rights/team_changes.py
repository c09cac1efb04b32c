"""Change who is in a team and what it covers: the rules for the console. The trail notes each row by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from autosubmit_portal.access.models import BY_HAND, Coverage, Membership, Team, TeamExperiment
from autosubmit_portal.access.rights import policy, teams
from autosubmit_portal.access.roles import MANAGE_TEAMS, Role
from autosubmit_portal.sentences import say

_EVERYWHERE = f"access.{MANAGE_TEAMS}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Somebody's place in a team: as what, and until when; None for no end."""

    person: User
    role: Role
    ends_at: datetime | None = None


def put_member(team: Team, place: Place, *, actor: Any) -> Membership:
    """Give somebody a place in a team by hand, or change that place; raises policy.Forbidden."""
    require_members(actor, team)
    found = Membership.objects.filter(team=team, user=place.person, source=BY_HAND).first()
    row = found or Membership(team=team, user=place.person)
    row.role, row.ends_at = place.role, place.ends_at
    row.save()
    return row


def drop_member(row: Membership, *, actor: Any) -> None:
    """Take a place in a team away; raises policy.Forbidden."""
    require_members(actor, row.team)
    row.delete()


def require_members(actor: Any, team: Team) -> None:
    """Raise policy.Forbidden unless the actor may change who is in a team."""
    if not teams.may_change_members(actor, team):
        raise policy.Forbidden(
            say("{actor} may not change who is in the team {team}: its managers may.", actor=actor, team=team),
            _EVERYWHERE,
        )


def require_all(actor: Any, team: Team) -> None:
    """Raise policy.Forbidden unless the actor may change everything about a team."""
    if not teams.may_change(actor, team):
        reason = say(
            "{actor} may not change the team {team}: managers of the sites that it lies at may.", actor=actor, team=team
        )
        raise policy.Forbidden(reason, _EVERYWHERE)


@contextmanager
def change_all(actor: Any, team: Team) -> Iterator[None]:
    """Let the actor change a team, which must stay theirs to change; raises policy.Forbidden, and then changes nothing.

    A team that lies at no site any more would be out of reach for who manages one site.
    """
    require_all(actor, team)
    with transaction.atomic():
        yield
        if not teams.may_change(actor, team):
            reason = say(
                "The team {team} would lie at no site of yours: leave it something there, or dissolve it.", team=team
            )
            raise policy.Forbidden(reason, _EVERYWHERE)


def put_coverage(row: Coverage, *, actor: Any) -> None:
    """Save a line of coverage; raises policy.Forbidden."""
    with change_all(actor, row.team):
        row.save()


def drop(row: Coverage | TeamExperiment, *, actor: Any) -> None:
    """Take a line of coverage, or an experiment that was added by hand, from its team; raises policy.Forbidden."""
    with change_all(actor, row.team):
        row.delete()


def pick(team: Team, experiment: Any, *, actor: Any) -> bool:
    """Add an experiment to a team by hand; answer whether that was needed. Raises policy.Forbidden."""
    with change_all(actor, team):
        return teams.add_experiment(team, experiment)
