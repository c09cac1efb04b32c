"""A list of the console as CSV: the rows that its filters and its search choose, in its order."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from django.contrib.admin.utils import get_fields_from_path
from django.db.models import DateTimeField, Model, QuerySet
from django.http import StreamingHttpResponse

from autosubmit_portal.csv_lines import write_csv_lines
from jobs.autosubmit.secrets import mask_text

Source = str | Callable[[Any], Any]
"""What stands in a column: that of a field, or what a function makes of the row."""

FORMAT = "format"
# As many as one list of jobs may have; a filter serves better than more.
MOST_ROWS = 500_000
_ROWS_AT_ONCE = 2000
# What people and commands have written may hold a password.
_MASKED = ("message", "reason")


def answer_csv(
    rows: "QuerySet[Any]",
    columns: Mapping[str, Source],
    name: str,
    complete: Callable[[list[Any]], None] = lambda rows: None,
) -> StreamingHttpResponse:
    """Answer a file called `name` with these rows as a stream, at most MOST_ROWS; `columns` are sources by heading.

    Where one is a function, `complete` adds to some rows at a time what functions ask them for.
    A file is for everybody: times are UTC, as their headings say, whatever the time zone of whoever takes it.
    """
    headings = [_write_heading(rows.model, *column) for column in columns.items()]
    fields = [source for source in columns.values() if isinstance(source, str)]
    if len(fields) == len(columns):
        values = rows.values_list(*fields)[:MOST_ROWS].iterator(chunk_size=_ROWS_AT_ONCE)
    else:
        values = _read_rows(rows, [*columns.values()], complete)
    return answer_csv_rows(_write_rows(values, headings), headings, name)


def answer_csv_rows(rows: Iterator[dict[str, Any]], columns: list[str], name: str) -> StreamingHttpResponse:
    """Answer a file called `name` with these rows as a stream."""
    return StreamingHttpResponse(
        write_csv_lines(rows, columns),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _write_heading(model: type[Model], heading: str, source: Source) -> str:
    """Return the heading of a column; that of a field with instants says their zone."""
    is_of_times = isinstance(source, str) and isinstance(get_fields_from_path(model, source)[-1], DateTimeField)
    return f"{heading} (UTC)" if is_of_times else heading


def _read_rows(
    rows: "QuerySet[Any]", sources: list[Source], complete: Callable[[list[Any]], None]
) -> Iterator[tuple[Any, ...]]:
    read = rows[:MOST_ROWS].iterator(chunk_size=_ROWS_AT_ONCE)
    while batch := list(islice(read, _ROWS_AT_ONCE)):
        complete(batch)
        yield from (tuple(_read_cell(row, source) for source in sources) for row in batch)


def _read_cell(row: Any, source: Source) -> Any:
    return source(row) if callable(source) else getattr(row, source)


def _write_rows(values: Iterator[tuple[Any, ...]], columns: list[str]) -> Iterator[dict[str, Any]]:
    for row in values:
        yield {column: _write_cell(column, value) for column, value in zip(columns, row, strict=True)}


def _write_cell(column: str, value: Any) -> Any:
    """Return instants as UTC with its offset, and texts without passwords."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return mask_text(value) if column in _MASKED and value else value
