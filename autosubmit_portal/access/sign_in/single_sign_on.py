"""Sign-in through the identity providers of the settings: what allauth asks about them.

An account belongs to a subject of a provider. Nobody is matched by e-mail or by name.
"""

from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest

from autosubmit_portal.access.sign_in import providers
from autosubmit_portal.access.sign_in.cas import CASServer
from autosubmit_portal.access.sign_in.github import GitHubSite
from autosubmit_portal.access.sign_in.openid_connect import Issuer
from autosubmit_portal.access.sign_in.providers import IdentityProvider
from autosubmit_portal.access.sign_in.refusals import SignInRefused, refuse_expired, refuse_unavailable
from autosubmit_portal.access.sign_in.social import Directory, SocialProvider
from autosubmit_portal.sentences import say

_CLASSES: dict[type[IdentityProvider], type[SocialProvider]] = {
    providers.OpenIDConnect: Issuer,
    providers.CAS: CASServer,
    providers.GitHub: GitHubSite,
    providers.LDAP: Directory,
}


def list_offered() -> list[IdentityProvider]:
    """Return the providers with a button on the sign-in page."""
    return [provider for provider in settings.PROVIDERS if provider.has_button]


def find_offered(key: str) -> IdentityProvider | None:
    """Return the provider with this key in addresses."""
    return next((provider for provider in list_offered() if provider.key == key), None)


def make_provider(request: HttpRequest, provider: IdentityProvider) -> SocialProvider:
    """Return the provider as allauth knows it."""
    return _CLASSES[type(provider)](request, provider)


class SocialAdapter(DefaultSocialAccountAdapter):
    """What allauth asks about providers."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SocialProvider:
        """Return a provider of the settings by its source; there is no other, whatever stands in the database."""
        for known in settings.PROVIDERS:
            if known.source == provider:
                return make_provider(request, known)
        raise SocialApp.DoesNotExist

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Let an account be made for whoever the provider vouches for; raise SignInRefused for others."""
        refusal: str = sociallogin.person.refusal  # type: ignore[attr-defined] # set by make_login
        if refusal:
            raise SignInRefused(refusal)
        return True

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """Give a new account a name of its own; an account that has the name already stays as it is."""
        user: User = super().populate_user(request, sociallogin, data)
        names = [data.get("username"), data.get("email"), "user"]
        user.username = get_account_adapter().generate_unique_username(names)
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: Any = None,
    ) -> None:
        """Raise SignInRefused with what happened, in words for people."""
        if error == AuthError.CANCELLED:
            raise SignInRefused(say("{name}: the sign-in was cancelled.", name=provider.name), status=401)
        if "state" not in (extra_context or {}):
            raise refuse_expired()
        raise refuse_unavailable(provider.provider, exception) from exception
