"""Experiments on which the child of an agent has hung: they are left out for a while, so that they hold up nobody."""

import os
from dataclasses import dataclass

from autosubmit_portal.agent.watch.request import MARK_BYTES

# For so long at first, then for twice as long each time.
FIRST_SECONDS, LONGEST_SECONDS = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class _Leave:
    """Until when, and for how long that was."""

    until: float
    seconds: float


class LeftOut:
    """Knows them. In the memory of `mark`, which a child shares, stands the experiment that it looks at."""

    def __init__(self) -> None:
        self.mark = os.memfd_create("watcher")
        os.ftruncate(self.mark, MARK_BYTES)
        self._leaves: dict[str, _Leave] = {}

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.mark)

    def clear_mark(self) -> None:
        """Forget what a child has looked at."""
        os.pwrite(self.mark, bytes(MARK_BYTES), 0)

    def read_mark(self) -> str:
        """Return the experiment that is looked at; blank if it is something else."""
        return os.pread(self.mark, MARK_BYTES, 0).decode("ascii", "replace").strip(" \0")

    def add(self, expid: str, now: float) -> float:
        """Leave an experiment out, and return for how long."""
        before = self._leaves.get(expid)
        seconds = min(2 * before.seconds, LONGEST_SECONDS) if before else FIRST_SECONDS
        self._leaves[expid] = _Leave(now + seconds, seconds)
        return seconds

    def list(self, now: float) -> list[str]:
        """Return those that are left out now, and forget those that have not hung for long."""
        forgotten = now - LONGEST_SECONDS
        self._leaves = {expid: leave for expid, leave in self._leaves.items() if leave.until > forgotten}
        return [expid for expid, leave in self._leaves.items() if leave.until > now]
