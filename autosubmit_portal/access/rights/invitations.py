"""Invite somebody into a team by a link: the rules for the console.

Whoever has the link joins by themselves, once. An invitation is worth what its inviter may do at that moment.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from autosubmit_portal.access.models import Invitation, Membership, Team, compute_digest
from autosubmit_portal.access.rights import team_changes, teams
from autosubmit_portal.access.rights.people import may_add_accounts
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say

MOST_OPEN = 50
"""So many invitations into one team are open at most."""


class WrongInvitation(Exception):
    """An invitation that cannot be made as wanted; `errors` maps each field to its messages."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items()))
        self.errors = errors


class NotInvited(Exception):
    """There is no such invitation, it is not open any more, or its inviter may not invite any more."""


class AlreadyMember(Exception):
    """Who wants to join is in the team already, and keeps that role."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A place in a team, for whom it is, as what, and until when; None for no end."""

    whom: str
    role: Role
    ends_at: datetime | None = None


def invite(team: Team, offer: Offer, *, actor: User, origin: Origin) -> str:
    """Make an invitation and return the secret of its link, which is stored nowhere.

    Raises policy.Forbidden or WrongInvitation.
    """
    team_changes.require_members(actor, team)
    secret, now = secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic():
        _lock(team)
        Invitation.objects.filter(team=team, open_until__lte=now).delete()
        _require_room(team, offer.whom)
        made = Invitation.objects.create(
            digest=compute_digest(secret),
            team=team,
            role=offer.role,
            ends_at=offer.ends_at,
            whom=offer.whom,
            inviter=actor,
            # A place that has ended by itself is not worth joining.
            open_until=min(filter(None, (now + Invitation.OPEN_FOR, offer.ends_at))),
        )
        _record("invitation.made", made, origin)
    return secret


def withdraw(invitation: Invitation, *, actor: Any, origin: Origin) -> None:
    """Withdraw an invitation, whoever made it; raises policy.Forbidden."""
    team_changes.require_members(actor, invitation.team)
    with transaction.atomic():
        if Invitation.objects.filter(pk=invitation.pk).delete()[0]:
            _record("invitation.withdrawn", invitation, origin)


def find_invitation(digest: str) -> Invitation | None:
    """Return the invitation by the digest of its secret; None if it does not hold, for whatever reason."""
    found = Invitation.objects.open().filter(digest=digest).select_related("team", "inviter").first()
    return found if found and teams.may_change_members(found.inviter, found.team) else None


def may_bring_new_account(inviter: Any) -> bool:
    """Return whether people whom somebody invites may make an account for themselves, with a password."""
    return settings.PASSWORD_LOGIN and may_add_accounts(inviter)


def find_role(team: Team, person: Any) -> Role | None:
    """Return as what somebody is in a team now; None if they are not."""
    held = Membership.objects.current().filter(team=team, user=person.pk)
    return max((Role(role) for role in held.values_list("role", flat=True)), default=None)


def join(invitation: Invitation, person: User, *, origin: Origin) -> Membership:
    """Give somebody the place that an invitation offers, which is used up by that. A new account is saved with it.

    Raises NotInvited or AlreadyMember, and then changes nothing.
    """
    with transaction.atomic():
        held = _use_up(invitation, person)
        if person._state.adding:
            person.save()
        place = team_changes.Place(person=person, role=Role(held.role), ends_at=held.ends_at)
        row = team_changes.put_member(held.team, place, actor=held.inviter)
        _record("invitation.accepted", held, replace(origin, actor_name=person.get_username(), actor_id=person.pk))
    return row


def _use_up(invitation: Invitation, person: User) -> Invitation:
    """Delete an invitation if it still holds, and return it as it was. Of two who come at once one finds it."""
    _lock(invitation.team)
    found = find_invitation(invitation.digest)
    if found is None or (person._state.adding and not may_bring_new_account(found.inviter)):
        raise NotInvited
    if find_role(found.team, person) is not None:
        raise AlreadyMember
    if not Invitation.objects.filter(pk=found.pk).delete()[0]:
        raise NotInvited
    return found


def _lock(team: Team) -> None:
    """Let nobody else invite into a team or join it meanwhile. Rows that only point to the team can be written."""
    Team.objects.select_for_update(no_key=True).filter(pk=team.pk).first()


def _require_room(team: Team, whom: str) -> None:
    """Refuse a second invitation for the same person, which hides that the first is open, and too many."""
    is_open = Invitation.objects.open().filter(team=team)
    if is_open.filter(whom__iexact=whom).exists():
        raise WrongInvitation(
            {"whom": [say("An invitation for “{whom}” is open. Withdraw it to make a new link.", whom=whom)]}
        )
    if is_open.count() >= MOST_OPEN:
        raise WrongInvitation(
            {"whom": [say("{count} invitations into the team are open. Withdraw some of them.", count=MOST_OPEN)]}
        )


def _record(event: str, invitation: Invitation, origin: Origin) -> None:
    trail.record(
        event,
        origin=origin,
        subject=f"invitation {invitation}",
        details={
            "invitation": invitation.pk,
            "team": invitation.team.slug,
            "whom": invitation.whom,
            "role": Role(invitation.role).name.lower(),
            "inviter": str(invitation.inviter),
            "ends_at": invitation.ends_at.isoformat() if invitation.ends_at else "",
            "open_until": invitation.open_until.isoformat(),
        },
    )
