"""API tokens: `Authorization: Bearer <token>`, and `Token <token>` for the clients that know only that."""

from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import current_origin


class BearerAuthentication(KnoxAuthentication):
    """`Authorization: Bearer <token>`. A token that is refused is a failed sign-in, and recorded as one."""

    scheme = "Bearer"

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401, which knox also compares with what the client sent."""
        return self.scheme

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        """Return the user and the token; raise AuthenticationFailed for one that is unknown, expired or no text."""
        found = _usable_token(token)
        if found is None:
            message = "Unknown or expired token."
            trail.record("sign_in.failed", origin=current_origin(), subject="API token", message=message)
            raise AuthenticationFailed("This token is unknown or has expired.")
        user: Any = found.user
        user.credential = found.credential
        return user, found


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
    is_expired = found.expiry is not None and found.expiry < timezone.now()
    return found if found.user.is_active and not is_expired else None
