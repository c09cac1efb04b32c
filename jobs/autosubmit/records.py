"""Rows of a store as records: each field says, beside its type, which column it is read from and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Column:
    """How a field is read, as in `started_at: Annotated[datetime | None, Column(instant, "start")]`.

    A blank `name` is that of the field.
    """

    read: Callable[[Any], Any]
    name: str = ""


@cache
def list_columns(record: Any) -> dict[str, Callable[[object], Any]]:
    """Return the columns that a record is read from, in the order of its fields, and how each is read."""
    marks = ((field.name, mark) for field in fields(record) for mark in getattr(field.type, "__metadata__", ()))
    return {mark.name or name: mark.read for name, mark in marks}


def read_record(record: type[Record], row: Mapping[str, object]) -> Record:
    """Return the record that a row holds; a column that this version of Autosubmit has not is read as None."""
    columns = list_columns(record)  # type: ignore[arg-type]  # mypy takes a class for something without a hash
    return record(*[read(row.get(name)) for name, read in columns.items()])
