"""Make and revoke API tokens: the rules for the console, the API and the command line."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from autosubmit_portal.access.models import UNLIMITED, ApiToken, Team, get_scope
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import MANAGE_TEAMS
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say


class TokenRefused(Exception):
    """The caller may not do this with tokens; the text says why."""


class WrongToken(Exception):
    """A token that cannot be made as wanted; `errors` maps each field to its messages."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items()))
        self.errors = errors


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRequest:
    """A token that somebody wants: its name, for how many days, and its limits.

    Without `days` the default holds; without `kinds` or `teams` (slugs) there is no such limit.
    """

    name: str
    days: int | None = None
    kinds: Collection[str] | None = None
    teams: Collection[str] | None = None


def list_teams(owner: User) -> QuerySet[Team]:
    """Return the teams that a token of `owner` may be limited to: their own, or all for managers of all teams."""
    if owner.has_perm(f"access.{MANAGE_TEAMS}") and get_scope(owner).teams is None:
        return Team.objects.order_by("slug")
    return Team.objects.filter(pk__in=policy.find_own_teams(owner)).order_by("slug")


def make_token(
    owner: User, wanted: TokenRequest, *, origin: Origin, by: ApiToken | None = None
) -> tuple[ApiToken, str]:
    """Make a token of `owner`; return it and its text, which is stored nowhere.

    `by` is the token of the request, if it came with one: the new token cannot do more. Raises WrongToken and
    TokenRefused, both recorded.
    """
    refusals = (TokenRefused, WrongToken)
    with trail.record_if_refused("api_token.refused", *refusals, origin=origin, subject=wanted.name):
        _require_writing(by)
        _require_kinds(wanted, by)
        teams = _choose_teams(wanted, owner, by)
        expiry = _choose_expiry(wanted.days, by)
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
    """Delete an own token, or, with the permission to delete tokens, another person's.

    A limited token (`by`) revokes only itself. Raises TokenRefused, which is recorded.
    """
    with trail.record_if_refused("api_token.revoke_refused", TokenRefused, origin=origin, subject=str(token)):
        _require_writing(by)
        if by and by != token and by.make_scope() != UNLIMITED:
            raise TokenRefused(say("This token has a limited scope: it can revoke only itself."))
        if token.user_id != actor.pk and not actor.has_perm("access.delete_apitoken"):
            raise TokenRefused(say("{actor} may not revoke the tokens of others. Ask a manager.", actor=actor))
    with transaction.atomic():
        token.delete()


def _require_writing(by: ApiToken | None) -> None:
    if by and by.kinds == []:
        raise TokenRefused(say("This token can only read. Sign in, or use another one."))


def _require_kinds(wanted: TokenRequest, by: ApiToken | None) -> None:
    if by and by.kinds is not None and not (wanted.kinds is not None and {*wanted.kinds} <= {*by.kinds}):
        legal = ", ".join(by.kinds)
        raise TokenRefused(say("Your token is limited: choose `kinds` from its own: {legal}.", legal=legal))


def _choose_teams(wanted: TokenRequest, owner: User, by: ApiToken | None) -> list[Team] | None:
    """Return the teams that the token is limited to; None for no limit.

    Raises TokenRefused if the token `by` is limited and the wanted one is not, WrongToken for teams not allowed.
    """
    possible = [team for team in list_teams(owner) if not by or not by.only_teams or team in by.teams.all()]
    if wanted.teams is None:
        if by and by.only_teams:
            raise TokenRefused(
                say("Your token is limited: choose `teams` from its own: {teams}.", teams=_join_slugs(possible))
            )
        return None
    unknown = sorted({*wanted.teams} - {team.slug for team in possible})
    if unknown:
        raise WrongToken(
            {
                "teams": [
                    say("“{unknown}” is none of: {teams}.", unknown=", ".join(unknown), teams=_join_slugs(possible))
                ]
            }
        )
    return [team for team in possible if team.slug in wanted.teams]


def _join_slugs(teams: list[Team]) -> str:
    return ", ".join(team.slug for team in teams) or "no team"


def _choose_expiry(days: int | None, by: ApiToken | None) -> datetime:
    """Return the end of the token, at most that of the token `by`."""
    now = timezone.now()
    latest = now + timedelta(days=settings.TOKEN_DAYS)
    if by and by.expiry:
        latest = min(latest, by.expiry)
    if days is None:
        return min(now + settings.TOKEN_DEFAULT, latest)
    wanted = now + timedelta(days=days)
    if days < 1 or wanted > latest:
        raise WrongToken({"days": [say("Choose 1 to {days} days.", days=(latest - now).days)]})
    return wanted
