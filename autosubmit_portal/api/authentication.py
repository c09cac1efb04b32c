"""API tokens: `Authorization: Bearer <token>`, and `Token <token>` for the clients that know only that."""

from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxAuthentication
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
        try:
            token.decode("ascii")
            found: tuple[Any, Any] = super().authenticate_credentials(token)  # type: ignore[no-untyped-call]
        except (UnicodeDecodeError, AuthenticationFailed) as failure:
            trail.record(
                "sign_in.failed",
                origin=current_origin(),
                subject="API token",
                message="Unknown or expired token.",
            )
            raise AuthenticationFailed("This token is unknown or has expired.") from failure
        return found

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        """Answer whether a token has expired, which removes it.

        Knox looks at each request at all other tokens of the user, too; each of them is refused when it is used.
        """
        if auth_token.expiry is None or auth_token.expiry >= timezone.now():
            return False
        auth_token.delete()
        return True


class TokenAuthentication(BearerAuthentication):
    """`Authorization: Token <token>`."""

    scheme = "Token"
