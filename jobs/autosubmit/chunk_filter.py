"""Autosubmit's notation for dates, members and chunks: `[ 20000101 [ fc0 [1-4 7] fc1 [Any] ] Any [ Any [1] ] ]`.

It is read as 4.1.17 reads it (`Autosubmit._filter_chunks`): upper and lower case are alike, `Any` stands for anything,
jobs that lack a date, a member or a chunk never match, and what follows the first bracket's end is ignored.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Values = tuple[str | range, ...] | None
"""Words and ranges of numbers; None stands for all there are."""

Place = tuple[datetime | None, str, int | None]
"""The date, member and chunk of a job, as far as it has them."""

_TOKEN = re.compile(r"[\[\]]|[^\s\[\]]+")
_DEPTH = 3  # dates, members, chunks
_LONGEST_NUMBER = 9
_NAMES = ("date", "member", "chunk")


class UnreadableFilter(Exception):
    """A text that Autosubmit does not accept as such a filter."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Some dates, some members, some chunks."""

    values: tuple[Values, Values, Values]

    def matches(self, words: tuple[str, str, str]) -> bool:
        """Answer whether a job with these is meant."""
        return all(_has(wanted, word) for wanted, word in zip(self.values, words, strict=True))


@dataclass(frozen=True, slots=True)
class ChunkFilter:
    """What is meant: whatever matches one of the clauses."""

    clauses: tuple[Clause, ...]

    def matches(self, date: datetime | None, member: str, chunk: int | None) -> bool:
        """Answer whether a job is meant."""
        words = _words((date, member, chunk))
        return words is not None and any(clause.matches(words) for clause in self.clauses)

    def unknown(self, places: Iterable[Place]) -> list[str]:
        """Return what is named and that none of the jobs has, such as "chunk 9"."""
        known = [set(words) for words in zip(*filter(None, map(_words, places)), strict=True)] or [
            set[str]()
        ] * 3
        found = (
            f"{name} {_shown(item)}"
            for clause in self.clauses
            for name, values, there in zip(_NAMES, clause.values, known, strict=True)
            for item in values or ()
            if not any(_has((item,), word) for word in there)
        )
        return list(dict.fromkeys(found))


def read_chunk_filter(text: str) -> ChunkFilter:
    """Return what a text means; raise UnreadableFilter when Autosubmit would refuse it or fail on it."""
    tokens = iter(_TOKEN.findall(text.upper()))
    if next(tokens, "") != "[":
        raise UnreadableFilter("It must begin with “[”.")
    return ChunkFilter(tuple(_clauses(_nested(tokens, _DEPTH))))


def _nested(tokens: Iterator[str], depth: int) -> list[Any]:
    """Return what stands before the end of the present bracket, each inner bracket as a list."""
    if depth == 0:
        raise UnreadableFilter("There is a bracket inside the chunks.")
    items: list[Any] = []
    for piece in tokens:
        if piece == "]":
            return items
        items.append(_nested(tokens, depth - 1) if piece == "[" else piece)
    raise UnreadableFilter("A bracket is not closed.")


def _clauses(items: list[Any]) -> Iterator[Clause]:
    for date, members in _pairs(items, "a date and its members"):
        for member, chunks in _pairs(members, "a member and its chunks"):
            anything = "ANY" in chunks
            expanded = None if anything else tuple(_expanded(chunk) for chunk in chunks)
            yield Clause((_one(date), _one(member), expanded))


def _pairs(items: list[Any], what: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield a name and the list that follows it, again and again."""
    if len(items) % 2:
        raise UnreadableFilter(f"Expected {what} by turns, as in [ 20000101 [ fc0 [1-4] ] ].")
    for name, inner in zip(items[::2], items[1::2], strict=True):
        if not isinstance(name, str) or not isinstance(inner, list):
            raise UnreadableFilter(f"Expected {what} by turns, as in [ 20000101 [ fc0 [1-4] ] ].")
        yield name, inner


def _one(word: str) -> Values:
    return None if word == "ANY" else (_expanded(word),)


def _expanded(word: str) -> str | range:
    """Return what one word means; Autosubmit takes a hyphen for a range of numbers, everywhere."""
    if "-" not in word:
        return word
    first, _, last = word.partition("-")
    if not all(end.isdecimal() and len(end) <= _LONGEST_NUMBER for end in (first, last)):
        raise UnreadableFilter(f"“{word}” is not a range of numbers.")
    return range(int(first), int(last) + 1)


def _words(place: Place) -> tuple[str, str, str] | None:
    """Return the date, member and chunk of a job as Autosubmit compares them; None if it lacks one."""
    date, member, chunk = place
    if date is None or not member or chunk is None:
        return None
    return f"{date.year:04}{date.month:02}{date.day:02}", member.upper(), str(chunk)


def _has(values: Values, word: str) -> bool:
    """Answer whether a word is among the values; a range has its numbers as they are written, without zeros before."""
    if values is None or word in values:
        return True
    number = int(word) if word.isdecimal() and len(word) <= _LONGEST_NUMBER else -1
    return str(number) == word and any(number in item for item in values if isinstance(item, range))


def _shown(item: str | range) -> str:
    return item if isinstance(item, str) else f"{item.start}-{item.stop - 1}"
