"""The invitation that somebody has opened in a browser: the session keeps its digest, also through a sign-in."""

from django.http import HttpRequest

from autosubmit_portal.access.models import Invitation, compute_digest
from autosubmit_portal.access.rights.invitations import find_invitation

_OPENED = "invitation"


def open_invitation(request: HttpRequest, link: str) -> bool:
    """Keep which invitation a link is, or its secret alone; answer whether it holds. Others leave no session."""
    digest = compute_digest(link.strip().rpartition("#")[2])
    if find_invitation(digest) is None:
        forget_opened(request)
        return False
    request.session[_OPENED] = digest
    return True


def has_opened(request: HttpRequest) -> bool:
    """Return whether an invitation was opened in this browser, which may hold no more."""
    return _OPENED in request.session


def find_opened(request: HttpRequest) -> Invitation | None:
    """Return the invitation that was opened in this browser; None if none was, or it does not hold any more."""
    return find_invitation(request.session[_OPENED]) if has_opened(request) else None


def forget_opened(request: HttpRequest) -> None:
    """Forget the invitation that was opened."""
    request.session.pop(_OPENED, None)
