"""The start and end of delegations and freezes: never in the past."""

from datetime import datetime, timedelta

from django.utils import timezone

from autosubmit_portal.sentences import say

# Clocks differ, and forms send whole minutes: a start a moment ago means now.
TOLERANCE = timedelta(minutes=2)


def check_term(starts_at: datetime | None, ends_at: datetime | None) -> tuple[datetime, dict[str, str]]:
    """Return the start, by default now, and the errors by field."""
    now = timezone.now()
    if starts_at is None or now - TOLERANCE <= starts_at <= now:
        starts_at = now
    errors: dict[str, str] = {}
    if starts_at < now:
        errors["starts_at"] = say("It cannot begin in the past. Leave it out to begin now.")
    if ends_at is not None and ends_at <= max(starts_at, now):
        errors["ends_at"] = say("It must end in the future, after its start.")
    return starts_at, errors
