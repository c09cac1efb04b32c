"""Sign-in through the identity provider of PORTAL_OIDC_ISSUER: allauth's code flow with PKCE, and our rules.

An account belongs to a subject of the issuer. Nobody is matched by e-mail or by name.
"""

import logging
import re
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import slugify

from autosubmit_portal.access.sign_in import bearer

logger = logging.getLogger(__name__)

NEEDED_ADDRESSES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
LONGEST_NAME = 150  # that of the names of an account


class SignInRefused(Exception):
    """Somebody cannot sign in through the provider; the text says why, `status` is the HTTP status."""

    def __init__(self, reason: str, *, status: int = 403, subject: str = "single sign-on") -> None:
        super().__init__(reason)
        self.status = status
        self.subject = subject


def is_offered() -> bool:
    """Return whether an identity provider is set."""
    return bool(settings.OIDC_ISSUER)


def get_provider_id() -> str:
    """Return the name under which accounts and memberships of the issuer are kept: issuers never share people.

    The first half is for people to read; the digest makes the name unique for this issuer, to the last character.
    """
    address = urlsplit(settings.OIDC_ISSUER)
    readable = slugify(re.sub(r"[/.:]", "-", f"{address.netloc}{address.path}"))[:25]
    return f"{readable}-{sha256(settings.OIDC_ISSUER.encode()).hexdigest()[:24]}"


class Provider(OpenIDConnectProvider):
    """The identity provider of the settings."""

    def get_oauth2_adapter(self, request: HttpRequest) -> "CodeFlow":
        """Return the way in which people sign in."""
        return CodeFlow(request)

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the name and the e-mail, if they are text that fits."""
        fields = super().extract_common_fields(data)  # type: ignore[no-untyped-call]
        return {name: value[:LONGEST_NAME] for name, value in fields.items() if _is_text(value)}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        """Return none: nobody is matched by an address."""
        return []

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return nothing: what the claims grant is stored by provision.py."""
        return {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


class CodeFlow(OpenIDConnectOAuth2Adapter):
    """The code flow with the provider, whose configuration and tokens are checked."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, get_provider_id())

    def get_provider(self) -> Provider:
        """Return the provider of the settings."""
        return SocialAdapter(self.request).get_provider(self.request, self.provider_id)

    @property
    def openid_config(self) -> dict[str, Any]:
        """The configuration that the provider publishes; OAuth2Error unless it is of our issuer and complete."""
        config: dict[str, Any] = super().openid_config
        if config.get("issuer") != settings.OIDC_ISSUER or not all(config.get(name) for name in NEEDED_ADDRESSES):
            raise OAuth2Error(f"{settings.OIDC_ISSUER} publishes no usable configuration")
        return config

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return the address that the provider sends people back to."""
        return request.build_absolute_uri(reverse("admin:single_sign_on_callback"))

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        """Return who signs in, with all claims of the ID token and of the user information."""
        try:
            claims = bearer.read_id_token(kwargs["response"].get("id_token") or "")
        except (bearer.InvalidToken, bearer.ProviderUnavailable) as error:
            raise OAuth2Error(str(error)) from error
        if self.openid_config.get("userinfo_endpoint"):
            told = self._fetch_user_info(token.token)
            if told.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, section 5.3.2
                raise OAuth2Error("The user information is about somebody else.")
            claims = claims | told
        login: SocialLogin = self.get_provider().sociallogin_from_response(request, claims)
        login.claims = claims  # type: ignore[attr-defined] # for admission.py
        return login


class SocialAdapter(DefaultSocialAccountAdapter):
    """What allauth asks about the provider."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Provider:
        """Return the provider of the settings; there is no other, whatever stands in the database."""
        app = SocialApp(
            provider="openid_connect",
            provider_id=get_provider_id(),
            name=settings.OIDC_NAME,
            client_id=settings.OIDC_CLIENT_ID,
            secret=settings.OIDC_CLIENT_SECRET,
            settings={
                "server_url": settings.OIDC_ISSUER.rstrip("/"),
                "oauth_pkce_enabled": True,
                "scope": settings.OIDC_SCOPES,
            },
        )
        return Provider(request, app=app)

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
            raise SignInRefused(f"{settings.OIDC_NAME}: the sign-in was cancelled.", status=401)
        if "state" not in (extra_context or {}):
            text = "This sign-in has expired or was begun in another browser. Begin again."
            raise SignInRefused(text, status=401)
        raise refuse_unavailable(exception) from exception


def refuse_unavailable(error: Exception | None) -> SignInRefused:
    """Return the refusal for a provider that does not answer correctly; the log has the error."""
    logger.warning("The identity provider %s does not answer as it should: %s", settings.OIDC_ISSUER, error)
    text = f"{settings.OIDC_NAME} does not answer as it should. Try again later, or sign in with a password."
    return SignInRefused(text, status=502)
