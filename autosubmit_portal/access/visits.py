"""When people looked at the first page last, so that it can say what is new since their visit before.

A tab that stays open asks again and again, which is no visit: who comes back in the morning and loads the page is told
what happened in the night.
"""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from autosubmit_portal.access.models import Visit

APART = timedelta(minutes=30)
"""Who comes back after so long begins another visit."""

_NOTED_EVERY = timedelta(minutes=1)


def note_visit(user: Any) -> datetime | None:
    """Note that somebody looks now; return when their visit before was over, None if this is the first."""
    now = timezone.now()
    visit, is_first = Visit.objects.get_or_create(user_id=user.pk, defaults={"seen_at": now})
    if is_first:
        return None
    mine = Visit.objects.filter(pk=visit.pk, seen_at=visit.seen_at)  # another tab may be opened at the same time
    if now - visit.seen_at > APART:
        mine.update(before_at=visit.seen_at, seen_at=now)
        return visit.seen_at
    if now - visit.seen_at > _NOTED_EVERY:
        mine.update(seen_at=now)
    return visit.before_at


def find_last_visit(user: Any) -> datetime | None:
    """Return when the visit before the one that goes on was over; None without one."""
    return Visit.objects.filter(pk=user.pk).values_list("before_at", flat=True).first()
