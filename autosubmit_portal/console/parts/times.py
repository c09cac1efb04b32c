"""How instants are written: in the time zone of whoever reads, with the zone."""

import re
from datetime import UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime

DAY, MINUTE, SECOND = "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"
TYPED = "%Y-%m-%dT%H:%M"
"""What a field of a browser holds."""

# As sentences of the portal write an instant, which know nobody's time zone.
_IN_UTC = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b", re.ASCII)


def name_zone(at: datetime) -> str:
    """Return what the clock of an instant is called: CET, or UTC-03 where the zone has no letters for it."""
    name = at.strftime("%Z")
    return f"UTC{name}" if name[:1] in ("+", "-") else name


def write_instant(at: datetime, form: str = MINUTE) -> str:
    """Return an instant in the time zone of whoever reads, and the zone."""
    here = timezone.localtime(at)
    return f"{here.strftime(form)} {name_zone(here)}"


def write_typed(at: datetime) -> str:
    """Return an instant as a field holds it that is read in the time zone of whoever types."""
    return timezone.localtime(at).strftime(TYPED)


def read_instant(text: str) -> datetime | None:
    """Return the instant that a text says, in the time zone of whoever asks if it names none; None if it says none."""
    try:
        at = parse_datetime(text)
        return (timezone.make_aware(at) if timezone.is_naive(at) else at).astimezone(UTC) if at else None
    except (ValueError, OverflowError):
        return None


def put_into_zone(sentence: object) -> str:
    """Return a sentence of the portal with its instants in the time zone of whoever reads."""
    return _IN_UTC.sub(_rewrite, str(sentence))


def _rewrite(found: re.Match[str]) -> str:
    try:
        return write_instant(datetime.strptime(found[1], MINUTE).replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # no such day, or one at the end of the calendar
        return found[0]
