"""Shell patterns of `*` and `?` as a condition of the database, each in the operator that it knows."""

from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup

if TYPE_CHECKING:
    TextLookup = Lookup[bool]
else:
    TextLookup = Lookup


class Glob(TextLookup):
    """Whether a text column matches a pattern of a-z, 0-9, `*` and `?`; no other characters may stand in it."""

    lookup_name = "glob"

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compare with LIKE, in which `%` and `_` stand for what `*` and `?` do."""
        return self._compared(compiler, connection, "LIKE", str.maketrans("*?", "%_"))

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compare with GLOB: LIKE would take upper for lower case."""
        return self._compared(compiler, connection, "GLOB", {})

    def _compared(
        self, compiler: Any, connection: BaseDatabaseWrapper, operator: str, letters: dict[int, Any]
    ) -> tuple[str, list[Any]]:
        column, column_values = self.process_lhs(compiler, connection)
        pattern, pattern_values = self.process_rhs(compiler, connection)
        translated = [str(value).translate(letters) for value in pattern_values]
        return f"{column} {operator} {pattern}", [*column_values, *translated]
