"""Round robin over a long list: each name in its turn, within a limited time and with a limited share of it."""

import time
from collections.abc import Collection, Iterator
from datetime import datetime
from math import ceil

from django.utils import timezone


class RoundRobin:
    """The position of a mirror in its rounds over the experiments of a site.

    `complete_since` is when the last whole round began: every name that was there then has been given out since.
    """

    def __init__(self) -> None:
        self.complete_since: datetime | None = None
        self._left: list[str] = []
        self._began = timezone.now()

    def take_turns(self, known: Collection[str], *, seconds: float, share: float, least: int) -> Iterator[str]:
        """Give out names for so many seconds, but at least `least` and that share of all; none of them twice."""
        if not self._left:
            self._left, self._began = list(reversed([*known])), timezone.now()
        least = max(least, ceil(len(known) * share))
        until = time.monotonic() + seconds
        while self._left and (least > 0 or time.monotonic() < until):
            least -= 1
            yield self._left.pop()
        if not self._left:
            self.complete_since = self._began

    def complete(self, began: datetime) -> None:
        """Note that all names were given out otherwise since `began`."""
        self._left, self.complete_since = [], began
