"""Finding a text in a log of any size, in little memory and for a bounded time, but not in what is a secret there.

Secrets are looked for only where the text is, which most of a log is not.
"""

import time
from dataclasses import dataclass
from itertools import chain

from jobs.autosubmit.logs.reader import Log
from jobs.autosubmit.secrets import CONTEXT_BYTES, cover

MAX_SECONDS = 2.0
"""So long one search goes on, once it is where it begins; it says where to go on."""

MAX_TEXT = 500
"""The longest text to look for, in characters."""

_BEFORE, _AFTER = 80, 200  # so much of the line is shown on both sides of what was found, in bytes


@dataclass(frozen=True, slots=True)
class Match:
    """Where the text was found: in which line, at which byte and how many bytes long, and the line around it."""

    line: int
    offset: int
    length: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one search found, and where the next one goes on; `is_complete` when it has come to the end."""

    matches: list[Match]
    next_offset: int
    next_line: int
    is_complete: bool


def search(
    log: Log, text: str, *, offset: int = 0, line: int = 1, limit: int = 100, ignore_case: bool = False
) -> Found:
    """Look for `text` from the byte `offset` on, which is in the line number `line`, until `limit` matches.

    `ignore_case` takes A to Z for a to z; other letters are as they are. Matches do not overlap. Raises OSError as
    reading does.
    """
    finder = _Finder(text.encode(), max(0, offset - CONTEXT_BYTES), line, limit, ignore_case)
    finder.at = finder.counted = offset - finder.position
    read, size, deadline = finder.position, log.size, None
    for block in chain(log.iterate_uncovered(read, size), [b""]):
        deadline = deadline or time.monotonic() + MAX_SECONDS
        read += len(block)
        is_last = read >= size or not block  # a file that was cut meanwhile ends early
        finder.look(block, is_last=is_last)
        is_late = time.monotonic() > deadline and finder.position + finder.at > offset
        if is_last or len(finder.matches) == limit or is_late:
            break
    return Found(
        finder.matches,
        next_offset=finder.position + finder.at,
        next_line=finder.line,
        is_complete=is_last and len(finder.matches) < limit,
    )


class _Finder:
    """Looks through a window that moves over the log. Places are relative to `position`, where the window begins."""

    def __init__(self, text: bytes, position: int, line: int, limit: int, ignore_case: bool) -> None:
        self.text = text.lower() if ignore_case else text
        self.position, self.line, self.limit, self.ignore_case = position, line, limit, ignore_case
        self.window = b""
        self.at = self.counted = 0  # where to look on, and up to where the lines are counted
        self.matches: list[Match] = []

    def look(self, block: bytes, *, is_last: bool) -> None:
        """Look through what is known with one more block, as far as enough follows to tell and show what is found."""
        self.window += block
        room = len(self.text) - 1 if is_last else len(self.text) + CONTEXT_BYTES
        end = max(self.at, len(self.window) - room)
        if self._find(self.window, end) >= 0:
            self._take_all(cover(self.window), end)
        if len(self.matches) < self.limit:
            self._go_to(max(self.at, end))
        self._forget()

    def _find(self, window: bytes, end: int) -> int:
        looked = window.lower() if self.ignore_case else window
        return looked.find(self.text, self.at, end + len(self.text) - 1)

    def _take_all(self, window: bytes, end: int) -> None:
        while len(self.matches) < self.limit and (found := self._find(window, end)) >= 0:
            self._take(window, found)

    def _take(self, window: bytes, found: int) -> None:
        self._go_to(found)
        end = found + len(self.text)
        shown = window[max(0, found - _BEFORE) : found].rpartition(b"\n")[2]
        shown += window[found:end] + window[end : end + _AFTER].partition(b"\n")[0]
        excerpt = shown.decode("utf-8", "replace").strip("\ufffd\r")
        self.matches.append(Match(self.line, self.position + found, len(self.text), excerpt))
        self._go_to(end)

    def _go_to(self, place: int) -> None:
        self.line += self.window.count(b"\n", self.counted, place)
        self.at = self.counted = place

    def _forget(self) -> None:
        """Keep of the window only what tells whether a match is in a secret; it has what is shown before one."""
        passed = max(0, self.at - CONTEXT_BYTES)
        self.window = self.window[passed:]
        self.position += passed
        self.at -= passed
        self.counted -= passed
