"""Autosubmit's notation for dates, members and chunks: `[ 20000101 [ fc0 [1-4 7] fc1 [Any] ] Any [ Any [1] ] ]`.

It is read as 4.1.17 reads it (`Autosubmit._filter_chunks`): upper and lower case are alike, `Any` stands for anything,
jobs that lack a date, a member or a chunk never match, and what follows the first bracket's end is ignored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_TOKEN = re.compile(r"[\[\]]|[^\s\[\]]+")


class UnreadableFilter(Exception):
    """A text that Autosubmit does not accept as such a filter."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Some dates, members and chunks; None stands for all there are."""

    dates: frozenset[str] | None
    members: frozenset[str] | None
    chunks: frozenset[str] | None

    def matches(self, date: datetime, member: str, chunk: int) -> bool:
        """Answer whether a job with these is meant."""
        day = f"{date.year:04}{date.month:02}{date.day:02}"
        pairs = ((self.dates, day), (self.members, member.upper()), (self.chunks, str(chunk)))
        return all(wanted is None or value in wanted for wanted, value in pairs)


@dataclass(frozen=True, slots=True)
class ChunkFilter:
    """What is meant: whatever matches one of the clauses."""

    clauses: tuple[Clause, ...]

    def matches(self, date: datetime | None, member: str, chunk: int | None) -> bool:
        """Answer whether a job is meant."""
        if date is None or not member or chunk is None:
            return False
        return any(clause.matches(date, member, chunk) for clause in self.clauses)


def read_chunk_filter(text: str) -> ChunkFilter:
    """Return what a text means; raise UnreadableFilter when Autosubmit would refuse it or fail on it."""
    tokens = iter(_TOKEN.findall(text.upper()))
    if next(tokens, "") != "[":
        raise UnreadableFilter("It must begin with “[”.")
    return ChunkFilter(tuple(_clauses(_nested(tokens))))


def _nested(tokens: Iterator[str]) -> list[Any]:
    """Return what stands before the end of the present bracket, each inner bracket as a list."""
    items: list[Any] = []
    for token in tokens:
        if token == "]":
            return items
        items.append(_nested(tokens) if token == "[" else token)
    raise UnreadableFilter("A bracket is not closed.")


def _clauses(items: list[Any]) -> Iterator[Clause]:
    for date, members in _pairs(items, "a date and its members"):
        for member, chunks in _pairs(members, "a member and its chunks"):
            if not all(isinstance(chunk, str) for chunk in chunks):
                raise UnreadableFilter("There is a bracket inside the chunks.")
            expanded = [_expanded(chunk) for chunk in chunks]
            anything = None in expanded
            known = frozenset(value for values in expanded for value in values or ())
            yield Clause(_expanded(date), _expanded(member), None if anything else known)


def _pairs(items: list[Any], what: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield a name and the list that follows it, again and again."""
    if len(items) % 2:
        raise UnreadableFilter(f"Expected {what} by turns, as in [ 20000101 [ fc0 [1-4] ] ].")
    for name, inner in zip(items[::2], items[1::2], strict=True):
        if not isinstance(name, str) or not isinstance(inner, list):
            raise UnreadableFilter(f"Expected {what} by turns, as in [ 20000101 [ fc0 [1-4] ] ].")
        yield name, inner


def _expanded(value: str) -> frozenset[str] | None:
    """Return the values that one word means; Autosubmit takes a hyphen for a range of numbers, everywhere."""
    if value == "ANY":
        return None
    if "-" not in value:
        return frozenset({value})
    first, _, last = value.partition("-")
    if not (first.isdecimal() and last.isdecimal()):
        raise UnreadableFilter(f"“{value}” is not a range of numbers.")
    return frozenset(str(number) for number in range(int(first), int(last) + 1))
