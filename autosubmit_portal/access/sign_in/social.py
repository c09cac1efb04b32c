"""What all providers have in common for allauth: accounts are made from a Person."""

from typing import Any

from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.base.provider import Provider
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from autosubmit_portal.access.sign_in.providers import IdentityProvider, Person


def make_callback_address(request: HttpRequest, provider: IdentityProvider) -> str:
    """Return the address that a provider sends people back to."""
    return request.build_absolute_uri(reverse("admin:single_sign_on_callback", args=[provider.key]))


class SocialProvider(Provider):
    """A provider of the settings. Nobody is matched by an e-mail address or by a name."""

    def __init__(self, request: HttpRequest, provider: IdentityProvider, **settings: Any) -> None:
        app = SocialApp(provider=provider.kind, provider_id=provider.source, name=provider.name, settings=settings)
        app.client_id, app.secret = getattr(provider, "client_id", ""), getattr(provider, "client_secret", "")
        super().__init__(request, app=app)
        self.provider = provider

    def begin(self, next_url: str) -> HttpResponse:
        """Send the browser to the provider; it comes back to `next_url` in the end."""
        raise NotImplementedError

    def finish(self) -> HttpResponse:
        """Sign in whoever comes back from the provider; raise SignInRefused."""
        raise NotImplementedError

    def make_login(self, person: Person) -> SocialLogin:
        """Return the sign-in of somebody."""
        login: SocialLogin = self.sociallogin_from_response(self.request, person)
        login.person = person  # type: ignore[attr-defined] # for admission.py
        return login

    def extract_uid(self, data: Person) -> str:
        """Return who it is."""
        return data.subject

    def extract_common_fields(self, data: Person) -> dict[str, Any]:
        """Return what a new account is given."""
        return dict(data.make_fields())

    def extract_email_addresses(self, data: Person) -> list[Any]:
        """Return none: nobody is matched by an address."""
        return []

    def extract_extra_data(self, data: Person) -> dict[str, Any]:
        """Return nothing: what the provider grants is stored by provision.py."""
        return {}


class OAuth2(SocialProvider, OAuth2Provider):
    """One whose word comes by the code flow of OAuth 2."""

    def begin(self, next_url: str) -> HttpResponse:
        """Send the browser to the provider with a state, and a challenge (PKCE)."""
        answer: HttpResponse = self.redirect(self.request, AuthProcess.LOGIN, next_url=next_url)
        return answer

    def finish(self) -> HttpResponse:
        """Sign in whoever comes back with a code; raise SignInRefused."""
        answer: HttpResponse = OAuth2CallbackView.adapter_view(self.get_oauth2_adapter(self.request))(self.request)
        return answer


class Directory(SocialProvider):
    """One whose people use the form of the portal: directory.py asks it."""

    id = "ldap"
