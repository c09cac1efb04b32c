"""Round robin over a long list: each name in its turn, within a limited time and with a limited share of it."""

import time
from collections.abc import Collection, Iterator
from math import ceil, inf


class RoundRobin:
    """The position of a watcher in its rounds over the experiments of a store.

    `complete_since` is when the last whole round began: every name that was there then has been given out since.
    """

    def __init__(self) -> None:
        self.complete_since: float | None = None
        self._left: list[str] = []
        self._began = 0.0

    def take_turns(
        self, known: Collection[str], *, seconds: float, share: float = 0.0, least: int = 0, longest: float = inf
    ) -> Iterator[str]:
        """Give out names for so many seconds, but at least `least` and that share of all; none of them twice.

        However many that are, the turn ends after the `longest` time.
        """
        began = time.monotonic()
        if not self._left:
            self._left, self._began = list(reversed([*known])), began
        least = max(least, ceil(len(known) * share))
        while self._left and (time.monotonic() < began + (longest if least > 0 else min(seconds, longest))):
            least -= 1
            yield self._left.pop()
        if not self._left:
            self.complete_since = self._began

    def complete(self, began: float) -> None:
        """Note that all names were given out otherwise since `began`."""
        self._left, self.complete_since = [], began
