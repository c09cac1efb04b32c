"""Conditions that several lists have."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import Q


def every(conditions: Iterable[Q]) -> Q:
    """Return the condition that all `conditions` are true."""
    together = Q()
    for condition in conditions:
        together &= condition
    return together


def given(query: Mapping[str, Any], conditions: Mapping[str, Callable[[Any], Q]]) -> Q:
    """Return the condition of all the parameters that a query gives, each made of its value."""
    return every(make(query[name]) for name, make in conditions.items() if name in query)


def compared(column: str, lookup: str) -> Callable[[Any], Q]:
    """Return what makes the condition that a column compares so with a value."""
    return lambda value: Q((f"{column}__{lookup}", value))


def within(column: str) -> Callable[[Any], Q]:
    """Return what makes the condition that a column lies in one of several ranges, each with both ends."""

    def condition(ranges: Iterable[tuple[int, int]]) -> Q:
        together = Q(pk__in=[])
        for ends in ranges:
            together |= Q((f"{column}__range", ends))
        return together

    return condition
