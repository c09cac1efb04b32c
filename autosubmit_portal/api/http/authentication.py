"""API tokens: `Authorization: Bearer <token>`, and `Token <token>` for the clients that know only that.

`Authorization: Bearer <JWT>` is an access token of the identity provider.
"""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from rest_framework import authentication
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.authentication import SessionAuthentication as DRFSessionAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from autosubmit_portal.access.models import ApiToken, compute_digest
from autosubmit_portal.access.sign_in import bearer, last_use, provision
from autosubmit_portal.access.sign_in.backends import annotate_permissions, remember
from autosubmit_portal.api.http.throttling import require_few_failures
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import get_client_address, get_current_origin
from autosubmit_portal.db.compiled_query import CompiledQuery
from autosubmit_portal.sentences import say

_TOKEN: CompiledQuery[ApiToken] = CompiledQuery(
    lambda digest: annotate_permissions(ApiToken.objects.filter(digest=digest), "access_apitoken.user_id"),
    "user",
    annotations=("held",),
)


class BearerAuthentication(authentication.TokenAuthentication):
    """`Authorization: Bearer <token>`. A token that is refused is a failed sign-in, and recorded as one."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Return the account, with the scope of the token and its name for the trail, and the token."""
        found: tuple[Any, ApiToken] | None = super().authenticate(request)
        if found is not None:
            token = found[1]
            token.limit_account()
            if not token.is_use_noted:
                last_use.note(token, get_client_address(request._request))
        return found

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        """Return the user and the token; raise AuthenticationFailed for one that is unknown or expired."""
        found = _read_token(compute_digest(key))
        if found is None or found.is_expired or not found.user.is_active:
            origin = get_current_origin()
            require_few_failures(origin.address)
            message = say("Unknown or expired token.")
            trail.record("sign_in.failed", origin=origin, subject="API token", message=message)
            raise AuthenticationFailed(say("This token is unknown or has expired."))
        return found.user, found


class ProviderUnavailable(APIException):
    """The token cannot be checked now."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = say(
        "The identity provider does not answer, so that its tokens cannot be checked. Try again later."
    )


class SingleSignOnAuthentication(BaseAuthentication):
    """`Authorization: Bearer <JWT>`, where an identity provider is set. The account is that of the token's subject."""

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Bearer"

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        """Return the user and what the token says; None for no JWT, AuthenticationFailed for one that is refused."""
        token = _get_jwt(request)
        if token is None or not bearer.list_issuers():
            return None
        try:
            read = bearer.read_access_token(token)
            user: User = provision.find_account(request._request, read.person).user
            if not user.is_active:
                raise bearer.InvalidToken(say("The account “{user}” is closed.", user=user))
        except bearer.InvalidToken as refusal:
            origin = get_current_origin()
            require_few_failures(origin.address)
            trail.record("sign_in.failed", origin=origin, subject="OIDC bearer", message=str(refusal))
            raise AuthenticationFailed(str(refusal)) from refusal
        except bearer.ProviderUnavailable as error:
            raise ProviderUnavailable from error
        # Read by Origin.make: the program that the token was made for.
        user.credential = f"OIDC bearer {read.client}".strip()[:100]  # type: ignore[attr-defined]
        return user, read


class TokenAuthentication(BearerAuthentication):
    """`Authorization: Token <token>`."""

    keyword = "Token"


class SessionAuthentication(DRFSessionAuthentication):
    """The session of a browser. The body is not parsed here: only signed-in people learn what is wrong with it."""

    def enforce_csrf(self, request: Request) -> None:
        """Raise PermissionDenied for a request that another site may have made the browser send (CSRF)."""
        super().enforce_csrf(request._request)  # type: ignore[arg-type]


def _read_token(digest: str) -> ApiToken | None:
    """Return a token with its account and the account's permissions, or None; one query."""
    for found in _TOKEN.read_rows(digest):
        remember(found)
        return found
    return None


def _get_jwt(request: Request) -> str | None:
    """Return the bearer token if it has the form of a JWT: three parts, as no API token has."""
    scheme, _, token = get_authorization_header(request).strip().partition(b" ")
    is_jwt = scheme.lower() == b"bearer" and token.count(b".") == 2 and token.isascii()
    return token.strip().decode("ascii") if is_jwt else None
