"""The fields that a request wants of a shape: which columns they need, and how they are written."""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet

from experiments.actions.validation import Shape


def list_names(shape: Shape) -> list[str]:
    """Return the names of the fields of a shape."""
    return list(shape._declared_fields)


class Selection:
    """Some fields of a shape. Writing with it is what the shape's serializer does, at a fraction of its cost."""

    def __init__(self, shape: Shape, names: Iterable[str]) -> None:
        wanted = frozenset(names)
        fields = {name: field for name, field in shape().fields.items() if name in wanted}
        self._sources = [str(field.source) for field in fields.values()]
        self._writers = [(name, field.to_representation) for name, field in fields.items()]
        self._read = [attrgetter(source) for source in self._sources]

    def read_rows(self, rows: QuerySet[Any, Any], columns: Sequence[str]) -> QuerySet[Any, Any]:
        """Return the rows as tuples of what the fields need, which must be columns, and then of other `columns`.

        Objects for fifty experiments and their sites cost more than all the rest of a page.
        """
        needed = dict.fromkeys([*map(_get_column, self._sources), *columns])  # several fields may tell of one column
        return rows.values_list(*needed, named=True)

    def write(self, row: Any) -> dict[str, Any]:
        """Return one object as the shape describes it, with the wanted fields alone."""
        return self._write(read(row) for read in self._read)

    def write_all(self, rows: Iterable[Any]) -> list[dict[str, Any]]:
        """Return what `read_rows` has read, each as the shape describes it."""
        read = [attrgetter(_get_column(source)) for source in self._sources]
        return [self._write(of(row) for of in read) for row in rows]

    def _write(self, values: Iterable[Any]) -> dict[str, Any]:
        pairs = zip(self._writers, values, strict=True)
        return {name: None if value is None else write(value) for (name, write), value in pairs}


def make_selection(shape: Shape, names: Sequence[str] | None) -> Selection:
    """Return the selection of the fields that are named; of all, if none is."""
    return _make_selection(shape, frozenset(names or list_names(shape)))


def select(values: dict[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """Return of the values those that are named; all, if none is."""
    return {name: value for name, value in values.items() if name in names} if names else values


@cache
def _make_selection(shape: Shape, names: frozenset[str]) -> Selection:
    return Selection(shape, names)


def _get_column(source: str) -> str:
    return source.replace(".", "__")
