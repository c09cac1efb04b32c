"""The tables are what the models say, whatever the migrations did on the way."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Model

ROOTS = ("autosubmit_portal", "experiments", "jobs")
OURS = [model for model in apps.get_models() if model.__module__.split(".")[0] in ROOTS]


def names_in(table: str) -> set[str]:
    """Return the names of the indexes and constraints of a table. Django cannot read all checks of SQLite."""
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            return set(connection.introspection.get_constraints(cursor, table))
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = %s", [table])
        return {word for (sql,) in cursor.fetchall() for word in (sql or "").split('"')}


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_table_has_every_constraint_and_index_of_its_model(model: type[Model]) -> None:
    wanted = {named.name for named in (*model._meta.constraints, *model._meta.indexes)}
    assert wanted - names_in(model._meta.db_table) == set()
