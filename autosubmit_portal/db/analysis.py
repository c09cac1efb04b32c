"""What SQLite knows of its tables, by which it plans: PostgreSQL keeps that up to date by itself."""

from typing import Any

from django.db import connection


def analyse(**_: Any) -> None:
    """Bring the statistics of SQLite up to date; after each migrate, which makes indexes, and once a day.

    Without any SQLite plans well enough; those of a database that was small are worse than none, and so are those of a
    part of each index. For a million jobs that takes about a second, in which others wait to write.
    """
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
