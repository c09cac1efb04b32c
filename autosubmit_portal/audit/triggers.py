"""The triggers that make the trail append-only for everyone who comes through SQL, on SQLite and PostgreSQL."""

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_SQLITE = [
    f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit_auditentry "
    "BEGIN SELECT RAISE(ABORT, 'audit entries are never changed or deleted'); END"
    for verb in ("UPDATE", "DELETE")
]
_POSTGRESQL = [
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'audit entries are never changed or deleted'; END $$",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_auditentry "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
]
REMOVE = {
    "sqlite": ["DROP TRIGGER audit_no_UPDATE", "DROP TRIGGER audit_no_DELETE"],
    "postgresql": ["DROP TRIGGER audit_append_only ON audit_auditentry", "DROP FUNCTION audit_refuse()"],
}
INSTALL = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def install(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers; a migration's forward step. Other databases than these two are refused with KeyError."""
    _run(INSTALL, schema_editor)


def remove(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers; a migration's backward step."""
    _run(REMOVE, schema_editor)


def _run(statements: dict[str, list[str]], schema_editor: BaseDatabaseSchemaEditor) -> None:
    for statement in statements[schema_editor.connection.vendor]:
        schema_editor.execute(statement)
