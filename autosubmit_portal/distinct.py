"""The distinct values of a column, found by a loose index scan: from each value to the next greater one."""

from typing import Any, cast

from django.db import connection
from django.db.models import Model

_LEAPS = """
    WITH RECURSIVE leap(value) AS (
        SELECT (SELECT MIN({column}) FROM {table} WHERE {of})
        UNION ALL
        SELECT (SELECT MIN({column}) FROM {table} WHERE {of} AND {column} > leap.value)
        FROM leap WHERE leap.value IS NOT NULL
    )
    SELECT value FROM leap WHERE value IS NOT NULL
"""


def list_distinct(model: type[Model], name: str, **of: Any) -> list[Any]:
    """Return the values of a field in ascending order, without null, of the rows whose fields equal `of`.

    An index must begin with the fields of `of` and this field. DISTINCT would read an index entry for each row.
    """
    quote, field = connection.ops.quote_name, cast("Any", model._meta.get_field)
    given = [f"{quote(field(key).column)} = %s" for key in of]
    sql = _LEAPS.format(
        column=quote(field(name).column), table=quote(model._meta.db_table), of=" AND ".join(given) or "TRUE"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, 2 * [*of.values()])
        return [value for (value,) in cursor.fetchall()]
