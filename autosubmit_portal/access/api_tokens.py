"""Making and revoking API tokens: the rules, for the console, the API and the command line alike."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken, Team
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import MANAGE_TEAMS
from autosubmit_portal.access.scope import UNLIMITED, scope_of
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin


class TokenRefused(Exception):
    """What may not be done with tokens by whoever asks; the text says why."""


class WrongToken(Exception):
    """A token that cannot be made as wanted; `errors` maps each field to its messages."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items()))
        self.errors = errors


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A token that somebody wants: what uses it, for how many days, and what it is for at most.

    Without `days` it is the default, without `kinds` or `teams` (by their slugs) there is no such limit.
    """

    name: str
    days: int | None = None
    kinds: Collection[str] | None = None
    teams: Collection[str] | None = None


def teams_for(owner: User) -> QuerySet[Team]:
    """Return the teams that a token of `owner` may be limited to: their own, or all for who manages teams."""
    if owner.has_perm(f"access.{MANAGE_TEAMS}") and scope_of(owner).teams is None:
        return Team.objects.order_by("slug")
    return Team.objects.filter(pk__in=policy.own_teams(owner)).order_by("slug")


def make_token(
    owner: User, wanted: Wanted, *, origin: Origin, by: ApiToken | None = None
) -> tuple[ApiToken, str]:
    """Make a token of `owner` and return it with its text, which is kept nowhere.

    `by` is the token that asks, if one does: it makes none with more than itself has. Raises WrongToken and
    TokenRefused, both recorded.
    """
    try:
        _require_writing(by)
        _require_kinds(wanted, by)
        teams = _teams(wanted, owner, by)
        expiry = _expiry(wanted.days, by)
    except (TokenRefused, WrongToken) as refusal:
        trail.record("api_token.refused", origin=origin, subject=wanted.name, message=str(refusal))
        raise
    token, text = ApiToken.generate(
        owner,
        expiry=expiry,
        name=wanted.name,
        kinds=None if wanted.kinds is None else sorted(wanted.kinds),
        only_teams=teams is not None,
    )
    with transaction.atomic():
        token.save(force_insert=True)
        if teams is not None:
            token.teams.set(teams)
            names = ", ".join(team.slug for team in teams)
            trail.record("api_token.limited", origin=origin, subject=f"api_token {token}", message=names)
    return token, text


def revoke_token(token: ApiToken, actor: User, *, origin: Origin, by: ApiToken | None = None) -> None:
    """Delete a token: one's own, or another's with the permission to delete tokens.

    A token with a limit revokes none but itself. Raises TokenRefused, which is recorded.
    """
    try:
        _require_writing(by)
        if by and by != token and by.scope() != UNLIMITED:
            raise TokenRefused("This token has a limited scope: it revokes no token but itself.")
        if token.user_id != actor.pk and not actor.has_perm("access.delete_apitoken"):
            raise TokenRefused(f"{actor} may not revoke the tokens of others. Ask a manager.")
    except TokenRefused as refusal:
        trail.record("api_token.revoke_refused", origin=origin, subject=str(token), message=str(refusal))
        raise
    with transaction.atomic():
        token.delete()


def _require_writing(by: ApiToken | None) -> None:
    if by and by.kinds == []:
        raise TokenRefused("This token is only to read. Sign in, or use another one.")


def _require_kinds(wanted: Wanted, by: ApiToken | None) -> None:
    if by and by.kinds is not None and not (wanted.kinds is not None and {*wanted.kinds} <= {*by.kinds}):
        legal = ", ".join(by.kinds)
        raise TokenRefused(f"The token that asks is limited: choose `kinds` among its own: {legal}.")


def _teams(wanted: Wanted, owner: User, by: ApiToken | None) -> list[Team] | None:
    """Return the teams that the token is limited to, None for none.

    Raises TokenRefused where the token that asks would have to name some, WrongToken for others than may be named.
    """
    possible = [team for team in teams_for(owner) if not by or not by.only_teams or team in by.teams.all()]
    if wanted.teams is None:
        if by and by.only_teams:
            raise TokenRefused(
                f"The token that asks is limited: choose `teams` among its own: {_slugs(possible)}."
            )
        return None
    unknown = sorted({*wanted.teams} - {team.slug for team in possible})
    if unknown:
        raise WrongToken({"teams": [f"“{', '.join(unknown)}” is none of: {_slugs(possible)}."]})
    return [team for team in possible if team.slug in wanted.teams]


def _slugs(teams: list[Team]) -> str:
    return ", ".join(team.slug for team in teams) or "no team"


def _expiry(days: int | None, by: ApiToken | None) -> datetime:
    """Return the end of the token, which is no later than that of the token that asks."""
    now = timezone.now()
    latest = now + timedelta(days=settings.TOKEN_DAYS)
    if by and by.expiry:
        latest = min(latest, by.expiry)
    if days is None:
        return min(now + settings.TOKEN_DEFAULT, latest)
    wanted = now + timedelta(days=days)
    if days < 1 or wanted > latest:
        raise WrongToken({"days": [f"Choose 1 to {(latest - now).days} days."]})
    return wanted
