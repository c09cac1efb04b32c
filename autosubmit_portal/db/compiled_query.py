"""Queries whose SQL is made once: to make it of a QuerySet takes ten times as long as the database then needs.

For the few questions that every request asks: who holds this token, where is this experiment, which key has this job.
"""

import threading
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

Row = TypeVar("Row")
# What stands for a value while the SQL is made; a QuerySet says the same of every value of a type but None.
_STANDINS: dict[type, Callable[[int], Any]] = {
    str: lambda place: f"value {place} of a prepared query",
    int: lambda place: -(2**62) - place,
}


class Prepared(Generic[Row]):
    """A query with values left open.

    `build` makes the QuerySet of one value of each of `types`, and must use each value as it is: in `=`, `<` or the
    like. What it returns must not depend on anything else. Threads make the SQL for themselves, since a connection
    is theirs.
    """

    def __init__(self, build: Callable[..., "QuerySet[Any, Row]"], *types: type) -> None:
        self.build, self.types = build, types
        self._of_thread = threading.local()

    def rows(self, *values: Any) -> list[Row]:
        """Return what the QuerySet of these values returns: objects, or tuples of `values_list`. One query."""
        made = getattr(self._of_thread, "made", None)
        if made is None:
            made = self._of_thread.made = _Made(self.build, self.types)
        return made.rows(values)


class _Made(Generic[Row]):
    """A QuerySet of stand-ins, and the compiler that has made SQL of it."""

    def __init__(self, build: Callable[..., "QuerySet[Any, Row]"], types: Sequence[type]) -> None:
        standins = [_STANDINS[kind](place) for place, kind in enumerate(types)]
        self.queryset: Any = build(*standins)
        self.compiler = self.queryset.query.get_compiler(self.queryset.db)
        self.sql, self.params = self.compiler.as_sql()
        self.places = [
            (index, standins.index(param)) for index, param in enumerate(self.params) if param in standins
        ]
        columns = [column[0] for column in self.compiler.select[: self.compiler.col_count]]
        self.converters = self.compiler.get_converters(columns)

    def rows(self, values: Sequence[Any]) -> list[Row]:
        params = [*self.params]
        for index, place in self.places:
            params[index] = values[place]
        compiler = copy(self.compiler)
        compiler.as_sql = lambda *_, **__: (self.sql, params)
        compiler.get_converters = lambda _: self.converters
        self.queryset.query.get_compiler = lambda *_, **__: compiler
        return list(self.queryset._iterable_class(self.queryset))
