"""A list of the console as CSV: the rows that its filters and its search choose, in its order."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import get_fields_from_path
from django.db.models import DateTimeField, Model, QuerySet
from django.http import StreamingHttpResponse

from autosubmit_portal.csv_lines import write_csv_lines
from jobs.autosubmit.secrets import mask_text

FORMAT = "format"
# As many as one list of jobs may have; a filter serves better than more.
MOST_ROWS = 500_000
_ROWS_AT_ONCE = 2000
# What people and commands have written may hold a password.
_MASKED = ("message", "reason")


def answer_csv(rows: "QuerySet[Any]", columns: Mapping[str, str], name: str) -> StreamingHttpResponse:
    """Answer a file called `name` with these rows as a stream, at most MOST_ROWS; `columns` are fields by heading.

    A file is for everybody: times are UTC, as their headings say, whatever the time zone of whoever takes it.
    """
    headings = [_write_heading(rows.model, *column) for column in columns.items()]
    values = rows.values_list(*columns.values())[:MOST_ROWS].iterator(chunk_size=_ROWS_AT_ONCE)
    return answer_csv_rows(_write_rows(values, headings), headings, name)


def answer_csv_rows(rows: Iterator[dict[str, Any]], columns: list[str], name: str) -> StreamingHttpResponse:
    """Answer a file called `name` with these rows as a stream."""
    return StreamingHttpResponse(
        write_csv_lines(rows, columns),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _write_heading(model: type[Model], heading: str, path: str) -> str:
    """Return the heading of a column; that of instants says their zone."""
    is_of_times = isinstance(get_fields_from_path(model, path)[-1], DateTimeField)
    return f"{heading} (UTC)" if is_of_times else heading


def _write_rows(values: Iterator[tuple[Any, ...]], columns: list[str]) -> Iterator[dict[str, Any]]:
    for row in values:
        yield {column: _write_cell(column, value) for column, value in zip(columns, row, strict=True)}


def _write_cell(column: str, value: Any) -> Any:
    """Return instants as UTC with its offset, and texts without passwords."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return mask_text(value) if column in _MASKED and value else value
