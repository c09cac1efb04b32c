"""API tokens: `Authorization: Bearer <token>`, and `Token <token>` for the clients that know only that."""

from typing import Any

from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from autosubmit_portal.access import last_use
from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.api.throttling import require_few_failures
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import client_address, current_origin


class BearerAuthentication(KnoxAuthentication):
    """`Authorization: Bearer <token>`. A token that is refused is a failed sign-in, and recorded as one."""

    scheme = "Bearer"

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401, which knox also compares with what the client sent."""
        return self.scheme

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Return the account, with the scope of the token and its name for the trail, and the token."""
        found: tuple[Any, ApiToken] | None = super().authenticate(request)  # type: ignore[no-untyped-call]
        if found is not None:
            user, token = found
            user.scope, user.credential = token.scope(), token.credential
            last_use.note(token, client_address(request._request))
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        """Return the user and the token; raise AuthenticationFailed for one that is unknown, expired or no text."""
        found = _usable_token(token)
        if found is None:
            origin = current_origin()
            require_few_failures(origin.address)
            message = "Unknown or expired token."
            trail.record("sign_in.failed", origin=origin, subject="API token", message=message)
            raise AuthenticationFailed("This token is unknown or has expired.")
        return found.user, found


class TokenAuthentication(BearerAuthentication):
    """`Authorization: Token <token>`."""

    scheme = "Token"


def _usable_token(token: bytes) -> ApiToken | None:
    """Return the token with its account, or None; one query, for the digest of 512 bits is the key of the row.

    Knox would read every token of the account, to delete the expired ones; ours stay listed until they are revoked.
    """
    if not token.isascii():
        return None
    digest = hash_token(token.decode("ascii"))
    try:
        found = ApiToken.objects.select_related("user").get(digest=digest)
    except ApiToken.DoesNotExist:
        return None
    return found if found.user.is_active and not found.is_expired else None
