"""Limits for the requests of one client in a minute.

Reads are counted in the memory of each web process, which costs some microseconds; each process lets its share of the
limit through. Changes and failed sign-ins are counted by their entries in the trail (and by its counts), so for all
processes and hosts together.
"""

import math
import time
from collections import Counter
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from autosubmit_portal.audit import tally
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import get_client_address

if TYPE_CHECKING:  # the views are made with what stands here
    from rest_framework.views import APIView

WINDOW_SECONDS = 60


class Window:
    """Counts by key, reset every minute, so that it never holds more than the clients of one minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = 0
        self._counts: Counter[str] = Counter()

    def add(self, key: str) -> int:
        """Count one more request of `key`; return how many there are in this minute."""
        number = int(time.monotonic()) // WINDOW_SECONDS
        with self._lock:
            if number != self._number:
                self._number = number
                self._counts.clear()
            self._counts[key] += 1
            return self._counts[key]

    @staticmethod
    def get_seconds_left() -> int:
        """Return the seconds until the next minute begins."""
        return WINDOW_SECONDS - int(time.monotonic()) % WINDOW_SECONDS


counted_requests = Window()


class RequestThrottle(BaseThrottle):
    """Counts every request for its account, or without one for its address."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Return whether the client is below its limit."""
        actor = request.user.pk
        limit = settings.THROTTLE_ANONYMOUS if actor is None else settings.THROTTLE_READS
        if limit is None:
            return True
        key = f"address {get_client_address(request)}" if actor is None else f"account {actor}"
        return counted_requests.add(key) <= math.ceil(limit / settings.WEB_PROCESSES)

    def wait(self) -> float:
        """Return after how many seconds to ask again."""
        return counted_requests.get_seconds_left()


class ChangeThrottle(BaseThrottle):
    """Counts requested and refused changes of an account, from the API, the console and elsewhere."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Return whether a request that may change something is below the limit of its account."""
        limit = settings.THROTTLE_ACTIONS
        if request.method in SAFE_METHODS or limit is None:
            return True
        counted = tally.held("action.refused", actor_id=request.user.pk)
        return _count_entries(limit, actor_name=request.user.get_username()) + counted < limit

    def wait(self) -> float:
        """Return after how many seconds to ask again: a part of the entries is older then."""
        return WINDOW_SECONDS / 4


def require_few_failures(address: str | None) -> None:
    """Raise Throttled when too many have failed to sign in from an address in the last minute.

    Ask before a further failure is recorded: a flood of them must not fill the trail.
    """
    limit = settings.THROTTLE_ANONYMOUS
    if limit is None:
        return
    counted = tally.held(tally.FAILED, address=address)
    if _count_entries(limit, event=tally.FAILED, address=address) + counted >= limit:
        raise Throttled(wait=WINDOW_SECONDS / 4)


def _count_entries(most: int, **conditions: object) -> int:
    """Return how many entries of the last minute there are of a kind, counting no further than `most`."""
    since = timezone.now() - timedelta(seconds=WINDOW_SECONDS)
    return AuditEntry.objects.filter(at__gte=since, **conditions)[:most].count()
