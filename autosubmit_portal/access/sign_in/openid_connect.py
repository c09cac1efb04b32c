"""Sign-in through an issuer of OpenID Connect: allauth's code flow with PKCE, and our rules."""

from typing import Any

from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest

from autosubmit_portal.access.sign_in import bearer
from autosubmit_portal.access.sign_in.providers import OpenIDConnect
from autosubmit_portal.access.sign_in.social import OAuth2, make_callback_address

NEEDED_ADDRESSES = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Issuer(OAuth2, OpenIDConnectProvider):
    """An issuer of the settings."""

    provider: OpenIDConnect

    def __init__(self, request: HttpRequest, provider: OpenIDConnect) -> None:
        server_url = provider.address.rstrip("/")
        super().__init__(request, provider, server_url=server_url, oauth_pkce_enabled=True, scope=list(provider.scopes))

    def get_oauth2_adapter(self, request: HttpRequest) -> "CodeFlow":
        """Return the way in which people sign in."""
        return CodeFlow(request, self)


class CodeFlow(OpenIDConnectOAuth2Adapter):
    """The code flow with the issuer, whose configuration and tokens are checked."""

    def __init__(self, request: HttpRequest, issuer: Issuer) -> None:
        super().__init__(request, issuer.provider.source)
        self.issuer = issuer

    def get_provider(self) -> Issuer:
        """Return the issuer."""
        return self.issuer

    @property
    def openid_config(self) -> dict[str, Any]:
        """The configuration that the issuer publishes; OAuth2Error unless it is of our issuer and complete."""
        config: dict[str, Any] = super().openid_config
        address = self.issuer.provider.address
        if config.get("issuer") != address or not all(config.get(name) for name in NEEDED_ADDRESSES):
            raise OAuth2Error(f"{address} publishes no usable configuration")
        return config

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return the address that the issuer sends people back to."""
        return make_callback_address(request, self.issuer.provider)

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        """Return who signs in, with all claims of the ID token and of the user information."""
        provider = self.issuer.provider
        try:
            claims = bearer.read_id_token(provider, kwargs["response"].get("id_token") or "")
        except (bearer.InvalidToken, bearer.ProviderUnavailable) as error:
            raise OAuth2Error(str(error)) from error
        if self.openid_config.get("userinfo_endpoint"):
            told = self._fetch_user_info(token.token)
            if told.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, section 5.3.2
                raise OAuth2Error("The user information is about somebody else.")
            claims = claims | told
        return self.issuer.make_login(bearer.read_person(provider, claims))
