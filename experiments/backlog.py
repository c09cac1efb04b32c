"""The queue of changed experiments to read: the smallest first, but none waits for ever."""

import time
from dataclasses import dataclass
from math import inf

# About what is read, compared and written in a second; a guess is enough to put them in order.
_BYTES_A_SECOND = 15_000_000
# One that takes a second to read lets those that take nothing pass for so many seconds, and the longest for a minute.
_PATIENCE = 10.0
_LONGEST_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Since when an experiment waits (monotonic clock), and how many seconds it will take."""

    began: float
    seconds: float

    @property
    def turn(self) -> float:
        """When it may be its turn: what comes later is passed by what is due before."""
        return self.began + min(self.seconds * _PATIENCE, _LONGEST_PATIENCE)


class Backlog:
    """Waiting experiments by their expid."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, expid: str, size: int) -> None:
        """Add an experiment with files of `size` bytes; one that waits already keeps its place if that is better."""
        new = Waiting(time.monotonic(), size / _BYTES_A_SECOND)
        known = self._waiting.get(expid, new)
        self._waiting[expid] = min(new, known, key=lambda each: each.turn)

    def take(self, most_bytes: float = inf) -> str | None:
        """Remove and return the next one with files of at most so many bytes; None if there is none."""
        taken = {expid for expid, waiting in self._waiting.items() if waiting.seconds <= most_bytes / _BYTES_A_SECOND}
        if not taken:
            return None
        expid = min(taken, key=lambda name: self._waiting[name].turn)
        del self._waiting[expid]
        return expid
