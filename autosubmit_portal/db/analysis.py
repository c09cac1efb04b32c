"""The statistics by which SQLite plans queries; PostgreSQL keeps its own up to date."""

from typing import Any

from django.db import connection


def analyse(**_: Any) -> None:
    """Update the statistics of SQLite, after each migrate and once a day.

    SQLite plans well without statistics, but badly with those of a time when the tables were small, or of a part of
    each index. With a million jobs this takes about a second, in which other writers wait.
    """
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
