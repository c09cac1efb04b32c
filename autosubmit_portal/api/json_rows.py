"""Rows that the database writes as JSON: ten thousand of them need not become objects here first."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.db.models import F, Func, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast


class JSONText(Func):
    """Names and values, by turns, as the text of a JSON object in that order. Django's JSONObject sorts and parses."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return it as SQLite says it."""
        return self.as_sql(compiler, connection, function="JSON_OBJECT", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return it as PostgreSQL says it."""
        template = "%(function)s(%(expressions)s)::text"
        return self.as_sql(compiler, connection, function="JSON_BUILD_OBJECT", template=template, **context)


def json_text(columns: Mapping[str, str | Combinable]) -> JSONText:
    """Return the expression of an object; of each name, the column or what the database makes its value of."""
    parts: list[Combinable] = []
    for name, column in columns.items():
        value = F(column) if isinstance(column, str) else column
        parts += [Cast(Value(name), TextField()), value]
    return JSONText(*parts)


def json_list(texts: Iterable[str]) -> orjson.Fragment:
    """Return a list of objects that are JSON already; FastJSONRenderer writes it as it is."""
    return orjson.Fragment(f"[{','.join(texts)}]")
