"""Plans for the values of a statement.

PostgreSQL plans a statement that it has prepared without its values, once that looks cheap. For a text that few rows
contain, or none, the plan is wrong then: it reads all rows in their order.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def plan_for_values() -> Iterator[None]:
    """Have PostgreSQL plan the statements of the block for their values; the block is a transaction."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        yield
