"""Limits for clients that wait, so that threads are left for all others.

A client that waits for something, or reads a long answer slowly, holds a thread of the web server. Each process has a
number of places for both, and one account may take a part of them. Without a place a client does not wait: it gets the
present state, or is asked to come again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from threading import Event, Lock

from django.conf import settings
from django.http import HttpRequest

# When to ask again after a wait that was not taken, or a long answer that was not begun.
AGAIN_SECONDS = 5
SHORTEST_PAUSE_SECONDS = 0.05

_stopping = Event()


class Places:
    """At most `most` places in this process, and `most_of_one` of them for one account."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self.most, self.most_of_one = most, most_of_one
        self._taken: Counter[object] = Counter()
        self._lock = Lock()

    def take(self, account: object) -> bool:
        """Take a place and return whether there was one. The caller must give it back."""
        with self._lock:
            if self._taken.total() >= self.most or self._taken[account] >= self.most_of_one:
                return False
            self._taken[account] += 1
            return True

    def give_back(self, account: object) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[account] -= 1
            if not self._taken[account]:
                del self._taken[account]


waits = Places(settings.WEB_THREADS // 3, settings.WEB_THREADS // 6)
"""Those of who waits."""
streams = Places(settings.WEB_THREADS // 6, settings.WEB_THREADS // 6)
"""Those of who reads a long answer."""


def end_waits() -> None:
    """End all waits: this process stops."""
    _stopping.set()


def wait_until(http: HttpRequest, is_over: Callable[[], bool], seconds: float, longest_pause: float = 1.0) -> bool:
    """Poll, ever less often, until `is_over`, the time is up, or the client has gone. False if there is no place.

    Between two polls only the thread is held, no transaction.
    """
    if is_over() or not seconds:
        return True
    account = http.user.pk
    if not waits.take(account):
        return False
    try:
        _wait(is_over, lambda: _has_gone(http), seconds, longest_pause)
    finally:
        waits.give_back(account)
    return True


def _wait(is_over: Callable[[], bool], has_gone: Callable[[], bool], seconds: float, longest_pause: float) -> None:
    deadline = time.monotonic() + seconds
    for pause in _lengthen_pauses(longest_pause):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or _stopping.wait(min(pause, remaining)) or has_gone() or is_over():
            return


def _lengthen_pauses(longest: float) -> Iterator[float]:
    pause = SHORTEST_PAUSE_SECONDS
    while True:
        yield min(pause, longest)
        pause = min(pause * 1.5, longest)


def _has_gone(http: HttpRequest) -> bool:
    """Return whether the client has closed its connection; False where the server cannot tell."""
    ask: Callable[[], bool] = http.META.get("waitress.client_disconnected", bool)
    return ask()


def make_headers(seconds: int, *, has_waited: bool) -> dict[str, str]:
    """Return the headers that tell a client whether its preferred wait was taken."""
    if has_waited:
        return {"Preference-Applied": f"wait={seconds}"}
    return {"Preference-Applied": "wait=0", "Retry-After": str(AGAIN_SECONDS)}
