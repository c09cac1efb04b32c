"""Times in words, as people ask for them."""

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta

from django.utils import timezone

Bounds = tuple[datetime, datetime]

EVENING, MORNING = time(18), time(8)


def _find_last_night(now: datetime) -> Bounds:
    """Return yesterday 18:00 and today 08:00, or now if that is earlier, in the time zone of `now`."""
    yesterday = now.date() - timedelta(days=1)
    evening = datetime.combine(yesterday, EVENING, now.tzinfo)
    return evening, min(datetime.combine(now.date(), MORNING, now.tzinfo), now)


PERIODS: Mapping[str, Callable[[datetime], Bounds]] = {
    "last_hour": lambda now: (now - timedelta(hours=1), now),
    "last_24_hours": lambda now: (now - timedelta(hours=24), now),
    "last_night": _find_last_night,
    "last_7_days": lambda now: (now - timedelta(days=7), now),
}


def describe_period(name: str) -> str:
    """Say one of PERIODS in English words."""
    return name.replace("_", " ").capitalize()


def get_bounds(period: str, now: datetime | None = None) -> Bounds:
    """Return the start and the end of one of PERIODS, for people in the time zone of `now`."""
    return PERIODS[period](now or timezone.localtime())
