"""Lockout after wrong passwords: of a name after a few failures, of an address after five times as many.

django-axes counts in the database, so that all processes on all hosts count together. Unknown names are counted too: a
lockout does not tell whether an account exists.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.db.models import Max, QuerySet, Sum
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from autosubmit_portal.audit import tally, trail
from autosubmit_portal.audit.origin import Origin, get_current_origin
from autosubmit_portal.sentences import marked, say

# A whole institute may stand behind one address.
ADDRESS_FACTOR = 5
LONGEST_NAME = 150  # that of User.username
_MINUTE = marked("Too many failed sign-ins. Try again in {count} minute, or ask a manager to lift the lockout.")
_MINUTES = marked("Too many failed sign-ins. Try again in {count} minutes, or ask a manager to lift the lockout.")


class LockoutHandler(AxesDatabaseHandler):
    """Counts failures by name and by address apart."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures of the name, or a fifth of those of the address when that is more."""
        by_name, by_address = (_count_failures(rows) for rows in self.get_user_attempts(request, credentials))
        return max(by_name, by_address // ADDRESS_FACTOR)

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Forget the failures of a name that has signed in, but not those of its address.

        Otherwise a valid account could be used to go on guessing others from the same address.
        """
        name = get_client_username(request, credentials)
        return int(AccessAttempt.objects.filter(username=name).delete()[0])


def get_name(request: HttpRequest | None, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the name of a sign-in, cut to the longest possible name: what a client sends has no limit."""
    given = (credentials or {}).get("username")
    if given is None and request is not None:
        given = request.POST.get("username")
    return None if given is None else str(given)[:LONGEST_NAME]


def filter_recent() -> QuerySet[AccessAttempt]:
    """Return the failures that still count."""
    rows: QuerySet[AccessAttempt] = AccessAttempt.objects.all()
    return rows.filter(attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME)


def find_end(name: str | None, address: str | None) -> datetime | None:
    """Return until when the name or the address is locked out; None if neither is."""
    limit = settings.AXES_FAILURE_LIMIT
    ends = [
        rows.aggregate(last=Max("attempt_time"))["last"] + settings.AXES_COOLOFF_TIME
        for rows, most in (
            (filter_recent().filter(username=name), limit),
            (filter_recent().filter(ip_address=address), limit * ADDRESS_FACTOR),
        )
        if _count_failures(rows) >= most
    ]
    return max(ends, default=None)


def explain(until: datetime | None) -> str:
    """Say how long a lockout lasts; the same for names that exist and names that do not."""
    seconds = (until - timezone.now()).total_seconds() if until else 0
    minutes = max(1, round(seconds / 60))
    return say(_MINUTE if minutes == 1 else _MINUTES, count=minutes)


def lift(*, name: str = "", address: str = "", origin: Origin) -> int:
    """Forget the failures of a name and of an address, record it, and return how many rows that were."""
    count = 0
    for field, value in (("username", name), ("ip_address", address)):
        if value:
            count += AccessAttempt.objects.filter(**{field: value}).delete()[0]
            tally.end(tally.LOCKED_OUT)
            trail.tell_counts()
            trail.record("lockout.lifted", origin=origin, subject=f"{_NOUNS[field]} {value}")
    return count


_NOUNS = {"username": "user", "ip_address": "address"}


def answer_locked_out(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """Answer the page that the sign-in made, whose form says why and how long, with 429 and Retry-After."""
    until = find_end(get_name(None, credentials), getattr(request, "axes_ip_address", None))
    if until:
        response["Retry-After"] = str(max(1, round((until - timezone.now()).total_seconds())))
    response.status_code = HTTPStatus.TOO_MANY_REQUESTS
    return response


@receiver(user_locked_out)
def _record(username: str | None = None, ip_address: str | None = None, **_: Any) -> None:
    message = explain(find_end(username, ip_address))
    subject = f"user {username or ''}"[:150]
    trail.record(tally.LOCKED_OUT, origin=get_current_origin(), subject=subject, message=message)


def _count_failures(rows: QuerySet[AccessAttempt]) -> int:
    return rows.aggregate(failures=Sum("failures_since_start"))["failures"] or 0
