"""Indexes for the orders of lists, on every database."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.expressions import OrderBy


class NewestFirstIndex(models.Index):
    """An index by columns that are all descending; rows without a value may be last."""

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, *args: Any, **kwargs: Any
    ) -> Any:
        """Leave NULLS LAST out for SQLite: it refuses that in an index, and has nulls last in this order anyway."""
        if schema_editor.connection.vendor != "sqlite":
            return super().create_sql(model, schema_editor, *args, **kwargs)
        keys: Any = self.expressions
        plain = models.Index(*(OrderBy(key.expression, descending=True) for key in keys), name=self.name)
        return plain.create_sql(model, schema_editor, *args, **kwargs)
