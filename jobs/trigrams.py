"""The index that finds jobs by a part of their name; only PostgreSQL has one, if its extension pg_trgm may be used."""

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
INDEX = "CREATE INDEX IF NOT EXISTS jobs_name_trigrams ON jobs_job USING gin (upper(name) gin_trgm_ops)"
REMEDY = f"Have a superuser of the database run in it: `{EXTENSION}; {INDEX};`"


def make(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the index where that is possible; a migration's forward step. Without it searches are slow, not wrong."""
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic():
            schema_editor.execute(EXTENSION)
            schema_editor.execute(INDEX)
    except DatabaseError as error:  # the account may not, or the extension is not installed
        print(
            f" no index for searches of jobs ({str(error).splitlines()[0]}); "
            f"see `{settings.COMMAND_LINE} doctor` ",
            end="",
        )


def is_missing() -> bool:
    """Answer whether the database could have the index and has not; before there is a table, nothing is missing."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass('jobs_job') IS NOT NULL AND to_regclass('jobs_name_trigrams') IS NULL"
        )
        return bool(cursor.fetchone()[0])
