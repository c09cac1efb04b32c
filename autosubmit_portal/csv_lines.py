"""Rows as CSV, line by line."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any


def write_csv_lines(rows: Iterator[dict[str, Any]], columns: list[str]) -> Iterator[str]:
    """Yield a header and each row as a line of CSV that no spreadsheet takes for a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    for cells in _add_header(rows, columns):
        writer.writerow([_make_harmless(cell) for cell in cells])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _add_header(rows: Iterator[dict[str, Any]], columns: list[str]) -> Iterator[list[Any]]:
    yield list(columns)
    for row in rows:
        yield [row[column] for column in columns]


def _make_harmless(cell: Any) -> str:
    if isinstance(cell, dict):
        cell = json.dumps(cell, ensure_ascii=False)
    text = "" if cell is None else str(cell)
    # Spreadsheets run a cell that begins so; an apostrophe before it makes them show it instead.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text
