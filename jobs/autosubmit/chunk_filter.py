"""Autosubmit's notation for dates, members and chunks: `[ 20000101 [ fc0 [1-4 7] fc1 [Any] ] Any [ Any [1] ] ]`.

It means the same as in 4.1.17 (`Autosubmit._filter_chunks`): case is ignored, `Any` is anything, and jobs without a
date, member or chunk never match. But 4.1.17 fails on members with a hyphen, ignores the text after the first bracket,
and does not distinguish start dates of one day. Here a date may have an hour (`2000010112`) or a minute, a day means
all of its times, and other texts are refused. Numbers and ranges without brackets, `3-7,12`, are chunks of all jobs.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autosubmit_portal.sentences import say
from jobs.autosubmit.start_dates import EXPECTED, parse_period

Values = tuple[str | range, ...] | None
"""Words and ranges of numbers; None stands for all there are."""

_Words = tuple[str, str, str]
"""The same in upper case, the date as YYYYMMDDHHMM."""

Place = tuple[datetime | None, str, int | None]
"""The date, member and chunk of a job, as far as it has them."""

_TOKEN = re.compile(r"[\[\]]|[^\s\[\]]+")
_DEPTH = 3  # dates, members, chunks
_LONGEST_NUMBER = 12
_NAMES = ("date", "member", "chunk")


class UnreadableFilter(Exception):
    """Autosubmit does not accept the text as such a filter."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Some dates, some members, some chunks."""

    values: tuple[Values, Values, Values]

    def matches(self, words: _Words) -> bool:
        """Return whether a job with these words matches."""
        dates, members, chunks = self.values
        date, member, chunk = words
        return _has_date(dates, date) and _has(members, member) and _has(chunks, chunk)


@dataclass(frozen=True, slots=True)
class ChunkSelection:
    """The chosen jobs: those that match one of the clauses; `is_of_chunks` if they need no date and no member."""

    clauses: tuple[Clause, ...]
    is_of_chunks: bool = False

    def matches(self, date: datetime | None, member: str, chunk: int | None) -> bool:
        """Return whether a job matches."""
        words = self._make_words((date, member, chunk))
        return words is not None and any(clause.matches(words) for clause in self.clauses)

    def find_unknown(self, places: Iterable[Place]) -> list[str]:
        """Return the named values that none of the jobs has, such as "chunk 9"."""
        known = [set(words) for words in zip(*filter(None, map(self._make_words, places)), strict=True)] or [
            set[str]()
        ] * 3
        found = (
            f"{name} {_describe(item)}"
            for clause in self.clauses
            for name, has, values, words in zip(_NAMES, _HAS, clause.values, known, strict=True)
            for item in values or ()
            if not any(has((item,), word) for word in words)
        )
        return list(dict.fromkeys(found))

    def _make_words(self, place: Place) -> _Words | None:
        """Return date, member and chunk of a job in the form for comparison; None if it lacks one that counts."""
        date, member, chunk = place
        if chunk is None or not (self.is_of_chunks or (date and member)):
            return None
        day = f"{date.year:04}{date.month:02}{date.day:02}{date.hour:02}{date.minute:02}" if date else ""
        return day, member.upper(), str(chunk)


def read_chunk_filter(text: str) -> ChunkSelection:
    """Return the selection of a text; raise UnreadableFilter when Autosubmit would refuse it or fail on it."""
    if "[" not in text:
        parts = (re.sub(r"\s*-\s*", "-", part.strip()) for part in text.split(","))
        return ChunkSelection((Clause((None, None, tuple(map(_parse_numbers, parts)))),), is_of_chunks=True)
    tokens = iter(_TOKEN.findall(text.upper()))
    if next(tokens, "") != "[":
        raise UnreadableFilter(say("It must begin with “[”."))
    clauses = tuple(_parse_clauses(_parse_nested(tokens, _DEPTH)))
    rest = next(tokens, "")
    if rest:
        raise UnreadableFilter(say("“{rest}” follows after its end.", rest=rest))
    return ChunkSelection(clauses)


def _parse_nested(tokens: Iterator[str], depth: int) -> list[Any]:
    """Return the items up to the end of the current bracket; inner brackets are lists."""
    if depth == 0:
        raise UnreadableFilter(say("There is a bracket inside the chunks."))
    items: list[Any] = []
    for piece in tokens:
        if piece == "]":
            return items
        items.append(_parse_nested(tokens, depth - 1) if piece == "[" else piece)
    raise UnreadableFilter(say("A bracket is not closed."))


def _parse_clauses(items: list[Any]) -> Iterator[Clause]:
    for date, members in _split_pairs(items, say("a date and its members")):
        for member, chunks in _split_pairs(members, say("a member and its chunks")):
            anything = "ANY" in chunks
            expanded = None if anything else tuple(_parse_numbers(chunk) for chunk in chunks)
            yield Clause((_parse_word(date, _parse_dates), _parse_word(member, _parse_member), expanded))


def _split_pairs(items: list[Any], what: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield pairs of a name and the list that follows it."""
    if len(items) % 2:
        raise UnreadableFilter(say("Expected {what} by turns, as in [ 20000101 [ fc0 [1-4] ] ].", what=what))
    for name, inner in zip(items[::2], items[1::2], strict=True):
        if not isinstance(name, str) or not isinstance(inner, list):
            raise UnreadableFilter(say("Expected {what} by turns, as in [ 20000101 [ fc0 [1-4] ] ].", what=what))
        yield name, inner


def _parse_word(word: str, meaning: Callable[[str], str | range]) -> Values:
    return None if word == "ANY" else (meaning(word),)


def _parse_member(word: str) -> str | range:
    """Return the meaning of a word: a range where it can be one, because Autosubmit reads each hyphen so."""
    return _parse_range(word) or word


def _parse_numbers(word: str) -> str | range:
    found = word if _is_number(word) else _parse_range(word)
    if found is None:
        raise UnreadableFilter(say("“{word}” is neither a number nor a range of numbers.", word=word))
    return found


def _parse_dates(word: str) -> str | range:
    ends = word.split("-")
    if len(ends) > 2 or len(set(map(len, ends))) > 1 or not all(map(_is_date, ends)):
        raise UnreadableFilter(say("“{word}” is no date: expected {expected}.", word=word, expected=EXPECTED))
    return _parse_range(word) or word


def _is_date(word: str) -> bool:
    try:
        parse_period(word)
    except ValueError:
        return False
    return _is_number(word)


def _parse_range(word: str) -> range | None:
    first, _, last = word.partition("-")
    return range(int(first), int(last) + 1) if _is_number(first) and _is_number(last) else None


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= _LONGEST_NUMBER


def _has(values: Values, word: str) -> bool:
    """Return whether a word is among the values; numbers of a range are compared without leading zeros."""
    if values is None or word in values:
        return True
    number = int(word) if _is_number(word) else -1
    return str(number) == word and any(number in item for item in values if isinstance(item, range))


def _has_date(values: Values, date: str) -> bool:
    """Return whether a date, given to the minute, is among the values; a shorter value means a whole day or hour."""
    return values is None or any(_has((item,), date[: _get_length(item)]) for item in values)


def _get_length(item: str | range) -> int:
    return len(item if isinstance(item, str) else str(item.start))


_HAS = (_has_date, _has, _has)


def _describe(item: str | range) -> str:
    return item if isinstance(item, str) else f"{item.start}-{item.stop - 1}"
