"""Accounts of the identity provider, and what its claims grant them.

What the provider has given is kept apart from what a manager gives by hand, which it never touches.
"""

from datetime import UTC, datetime

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from autosubmit_portal.access import claims as rules
from autosubmit_portal.access.models import Identity
from autosubmit_portal.access.single_sign_on import SocialAdapter, provider_id


def account_for(request: HttpRequest, claims: rules.Claims) -> SocialAccount:
    """Return the account of the subject of an access token, made if there is none, with what the claims grant."""
    account = _known(claims) or _made(request, claims)
    values = rules.values_of(claims, settings.OIDC_CLAIMS)
    if values is not None:  # a token without the claims says nothing about groups
        _provide(account, rules.grants_of(values, settings.OIDC_RULES), _issued_at(claims))
    return account


def provide_at_sign_in(account: SocialAccount, claims: rules.Claims) -> None:
    """Give the account what the claims grant now, and take what they granted before and no longer do."""
    values = rules.values_of(claims, settings.OIDC_CLAIMS) or frozenset()
    Identity.objects.filter(account=account).update(digest="")
    _provide(account, rules.grants_of(values, settings.OIDC_RULES), _issued_at(claims))


def _known(claims: rules.Claims) -> SocialAccount | None:
    accounts = SocialAccount.objects.select_related("user", "identity")
    return accounts.filter(provider=provider_id(), uid=claims["sub"]).first()


def _made(request: HttpRequest, claims: rules.Claims) -> SocialAccount:
    adapter = SocialAdapter(request)
    login = adapter.get_provider(request, provider_id()).sociallogin_from_response(request, claims)
    try:
        with transaction.atomic():
            adapter.save_user(request, login)
    except IntegrityError:  # another request with a token of the same subject was faster
        account = _known(claims)
        if account is None:
            raise
        return account
    made: SocialAccount = login.account
    return made


def _issued_at(claims: rules.Claims) -> datetime:
    return datetime.fromtimestamp(int(claims["iat"]), UTC)


def _provide(account: SocialAccount, granted: frozenset[rules.Grant], issued_at: datetime) -> None:
    """Change what the account was given, unless that is granted already or was given by younger claims."""
    digest = rules.digest_of(granted)
    identity = getattr(account, "identity", None)
    if identity and (identity.digest == digest or issued_at < identity.issued_at):
        return
    with transaction.atomic():
        identity, _ = Identity.objects.select_for_update().get_or_create(
            account=account, defaults={"issued_at": issued_at}
        )
        _provide_groups(account.user, identity, granted)
        identity.digest, identity.issued_at = digest, issued_at
        identity.save()


def _provide_groups(user: User, identity: Identity, granted: frozenset[rules.Grant]) -> None:
    """Keep the groups of the roles everywhere. A group that somebody has by hand already is not the provider's."""
    names = {grant.role.title for grant in granted if not grant.team and not grant.site}
    given = set(identity.groups.all())
    wanted = set(Group.objects.filter(name__in=names))
    user.groups.remove(*given - wanted)
    identity.groups.remove(*given - wanted)
    new = wanted - given - set(user.groups.all())
    user.groups.add(*new)
    identity.groups.add(*new)
