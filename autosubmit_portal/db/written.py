"""Conditions whose values are written into the statement, where a plan depends on them.

A database uses a partial index only where it sees that the condition of the index holds. PostgreSQL does not see the
values of a statement that it has prepared, nor how seldom they are; SQLite never sees those that are bound.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression
from django.db.models.sql.compiler import SQLCompiler


class Written(Expression):
    """A condition for `filter`, written as Django writes that of an index: only of values that are the portal's own."""

    conditional = True

    def __init__(self, condition: Any) -> None:
        super().__init__(output_field=BooleanField())
        self.condition = condition

    def get_source_expressions(self) -> list[Any]:
        """Return what it is made of, which is resolved with the query."""
        return [self.condition]

    def set_source_expressions(self, exprs: Any) -> None:
        """Take what was resolved."""
        (self.condition,) = exprs

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        """Return the condition without parameters."""
        sql, values = compiler.compile(self.condition)
        quote = connection.schema_editor().quote_value
        return (sql % tuple(map(quote, values))).replace("%", "%%"), ()
