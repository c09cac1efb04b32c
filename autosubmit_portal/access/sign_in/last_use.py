"""When and from where a token was last used, to the minute. It is written beside the requests, never in them.

A request notes the use and goes on; a thread writes it. So a busy or missing database neither delays nor breaks a read.
What cannot be written is dropped; the next request notes it again.
"""

import logging
from datetime import datetime
from threading import Lock, Thread

from django.db import DatabaseError, connections
from django.db.models import Q
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken

logger = logging.getLogger(__name__)

_lock = Lock()
_noted: dict[str, tuple[datetime, str | None]] = {}


def note(token: ApiToken, address: str | None) -> None:
    """Note the use of `token` from `address`."""
    now = timezone.now()
    with _lock:
        is_first = not _noted
        _noted[token.pk] = now, address
    if is_first:
        begin()


def begin() -> None:
    """Start a thread that writes the notes; drop them if the host cannot start one."""
    try:
        Thread(target=_write_in_background, name="last-use", daemon=True).start()
    except RuntimeError:
        _noted.clear()


def write() -> None:
    """Write the notes to rows that have no later use."""
    with _lock:
        noted = _noted.copy()
        _noted.clear()
    for digest, (at, address) in noted.items():
        older = Q(last_used_at=None) | Q(last_used_at__lt=at - ApiToken.NOTED_EVERY)
        ApiToken.objects.filter(older, pk=digest).update(last_used_at=at, last_used_address=address)


def _write_in_background() -> None:
    try:
        write()
    except DatabaseError as error:
        logger.warning("The last use of a token could not be written: %s", error)
    finally:
        connections.close_all()
