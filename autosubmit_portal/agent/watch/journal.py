"""What a watcher has seen of each experiment last, in the order in which that changed."""

import uuid
from dataclasses import replace
from itertools import takewhile
from typing import Any

from experiments.autosubmit.watched import Entry


class Journal:
    """The newest entry of each experiment, with the number that it got when it changed.

    Whoever remembers the last number asks for what has a higher one. In another `epoch` the numbers begin anew.
    """

    def __init__(self) -> None:
        self.epoch = uuid.uuid4().hex
        self.counter = 0
        self._entries: dict[str, tuple[int, Entry]] = {}

    def get(self, expid: str) -> Entry | None:
        """Return what was seen of an experiment; None if it was not looked at yet."""
        numbered = self._entries.get(expid)
        return numbered[1] if numbered else None

    def note(self, expid: str, entry: Entry) -> None:
        """Take what is seen of an experiment, which is new if it differs from what was seen before."""
        before = self.get(expid)
        if before and _is_same(before, entry):
            return
        self._entries.pop(expid, None)
        self.counter += 1
        self._entries[expid] = (self.counter, entry)

    def change(self, expid: str, **changes: Any) -> None:
        """Take what is seen of an experiment that was looked at before, in some parts only."""
        before = self.get(expid)
        if before:
            self.note(expid, replace(before, **changes))

    def find_since(self, counter: int) -> list[tuple[int, str, Entry]]:
        """Return what has changed after the entry of that number, the oldest first."""
        newest_first = ((number, expid, entry) for expid, (number, entry) in reversed(self._entries.items()))
        return [*takewhile(lambda numbered: numbered[0] > counter, newest_first)][::-1]


def _is_same(before: Entry, entry: Entry) -> bool:
    """Answer whether there is nothing to tell. A run falls asleep and awakes all the time, which is nothing.

    Nor is a sign of life soon after the one that was told.
    """
    if before.life.is_like(entry.life):
        entry = replace(entry, life=before.life)
    if before.alive.is_asleep != entry.alive.is_asleep:
        entry = replace(entry, alive=replace(entry.alive, is_asleep=before.alive.is_asleep))
    return before == entry
