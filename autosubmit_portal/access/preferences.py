"""What people prefer: the time zone and the language of their console."""

from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.utils import timezone

from autosubmit_portal.access.models import Preferences

# Not of a place are offsets, whose signs are the wrong way round there, and remains of old systems.
_OF_NO_PLACE = ("Etc/", "SystemV/")
UTC = "UTC"


@cache
def list_time_zones() -> tuple[str, ...]:
    """Return the time zones to choose from by their IANA names, as the tz database of this host has them."""
    placed = {name for name in available_timezones() if "/" in name and not name.startswith(_OF_NO_PLACE)}
    return (UTC, *sorted(placed))


def find_preferences(user: Any) -> Preferences:
    """Return what somebody prefers. No query for the user of a session; blank for who has set nothing or is nobody."""
    none = Preferences()
    return getattr(user, "preferences", None) or none


def set_preferences(user: Any, *, time_zone: str, language: str) -> None:
    """Keep what somebody prefers; blank goes back to what everybody has. The names have been looked at."""
    values = {"time_zone": time_zone, "language": language}
    Preferences.objects.update_or_create(user_id=user.pk, defaults=values)


def get_time_zone(preferences: Preferences) -> Any:
    """Return the time zone of a console: that of the portal for who has none, or one that this host does not know."""
    name = preferences.time_zone
    return ZoneInfo(name) if name in list_time_zones() else timezone.get_default_timezone()


def get_language(preferences: Preferences) -> str:
    """Return the language of a console; blank for who has none, or one that the portal does not speak."""
    return preferences.language if preferences.language in dict(settings.LANGUAGES) else ""
