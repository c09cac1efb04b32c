"""What SQLite knows of its tables, by which it plans: PostgreSQL keeps that up to date by itself."""

from typing import Any

from django.db import connection

# Of each index so many entries are looked at: a few milliseconds for millions of rows, which are enough to plan by.
MOST_ENTRIES = 1000


def analyse(**_: Any) -> None:
    """Bring the statistics of SQLite up to date; after each migrate, which makes indexes, and once a day.

    Without any SQLite plans well enough. Those of a database that was small are worse than none.
    """
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA analysis_limit = {MOST_ENTRIES}")
        cursor.execute("ANALYZE")
