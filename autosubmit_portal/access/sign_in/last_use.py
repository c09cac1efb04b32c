"""When and from where a token was last used: known to the minute, written beside the requests and never in them.

A request notes what is due and goes on. A thread of its own writes it, so that a database that is busy or away delays
and fails no read; what it cannot write is forgotten, and noted again by the next request.
"""

import logging
from datetime import datetime, timedelta
from threading import Lock, Thread

from django.db import DatabaseError, connections
from django.db.models import Q
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)

_lock = Lock()
_noted: dict[str, tuple[datetime, str | None]] = {}


def note(token: ApiToken, address: str | None) -> None:
    """Have the use of `token` from `address` written, unless one of the last minute is in its row."""
    now = timezone.now()
    if token.last_used_at is not None and now - token.last_used_at < EVERY:
        return
    with _lock:
        is_first = not _noted
        _noted[token.pk] = now, address
    if is_first:
        begin()


def begin() -> None:
    """Write what is noted, in a thread of its own; forget it where the host has no thread to give."""
    try:
        Thread(target=_in_background, name="last-use", daemon=True).start()
    except RuntimeError:
        _noted.clear()


def write() -> None:
    """Write what is noted, each where the row does not know a later use."""
    with _lock:
        noted = _noted.copy()
        _noted.clear()
    for digest, (at, address) in noted.items():
        older = Q(last_used_at=None) | Q(last_used_at__lt=at - EVERY)
        ApiToken.objects.filter(older, pk=digest).update(last_used_at=at, last_used_address=address)


def _in_background() -> None:
    try:
        write()
    except DatabaseError as error:
        logger.warning("The last use of a token could not be written: %s", error)
    finally:
        connections.close_all()
