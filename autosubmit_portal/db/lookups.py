"""Conditions for which Django has no lookup, in the SQL of each database."""

from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup
from django.db.models.lookups import In

if TYPE_CHECKING:
    TextLookup = Lookup[bool]
else:
    TextLookup = Lookup


class AnyOf(In):
    """Whether a column has one of some values, without using its index.

    To show a hundred jobs, SQLite would use the index of the site and then read and sort all jobs of the site. `+`
    prevents that (https://www.sqlite.org/optoverview.html#uplus).
    """

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compare an expression that no index matches."""
        sql, values = self.as_sql(compiler, connection)
        return f"+{sql}", values


class Glob(TextLookup):
    """Whether a text column matches a pattern of a-z, 0-9, `*` and `?`; no other characters may stand in it."""

    lookup_name = "glob"

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compare with LIKE, in which `%` and `_` stand for what `*` and `?` do."""
        return self._compare(compiler, connection, "LIKE", str.maketrans("*?", "%_"))

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compare with GLOB: LIKE would take upper for lower case."""
        return self._compare(compiler, connection, "GLOB", {})

    def _compare(
        self, compiler: Any, connection: BaseDatabaseWrapper, operator: str, letters: dict[int, Any]
    ) -> tuple[str, list[Any]]:
        column, column_values = self.process_lhs(compiler, connection)
        pattern, pattern_values = self.process_rhs(compiler, connection)
        translated = [str(value).translate(letters) for value in pattern_values]
        return f"{column} {operator} {pattern}", [*column_values, *translated]
