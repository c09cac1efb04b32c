"""Why somebody cannot sign in through a provider."""

import logging

from autosubmit_portal.access.sign_in.providers import IdentityProvider
from autosubmit_portal.sentences import say

logger = logging.getLogger(__name__)


class SignInRefused(Exception):
    """Somebody cannot sign in through the provider; the text says why, `status` is the HTTP status."""

    def __init__(self, reason: str, *, status: int = 403, subject: str = "single sign-on") -> None:
        super().__init__(reason)
        self.status = status
        self.subject = subject


def refuse_expired() -> SignInRefused:
    """Return the refusal of somebody who comes back with a sign-in that this browser has not begun, or long ago."""
    return SignInRefused(say("This sign-in has expired or was begun in another browser. Begin again."), status=401)


def refuse_unavailable(provider: IdentityProvider, error: Exception | None) -> SignInRefused:
    """Return the refusal for a provider that does not answer correctly; the log has the error."""
    logger.warning("The identity provider %s does not answer as it should: %s", provider.address, error)
    text = say("{name} does not answer as it should. Try again later, or sign in with a password.", name=provider.name)
    return SignInRefused(text, status=502)
