"""The triggers that make the trail append-only in SQL, on SQLite and PostgreSQL."""

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from autosubmit_portal.sentences import say

_TABLE = "audit_auditentry"
_REFUSAL = "audit entries are never changed or deleted"
# `INSERT OR REPLACE` deletes without asking the trigger for that, unless the connection wants it to.
_SQLITE = {
    "audit_no_UPDATE": f"CREATE TRIGGER audit_no_UPDATE BEFORE UPDATE ON {_TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    "audit_no_DELETE": f"CREATE TRIGGER audit_no_DELETE BEFORE DELETE ON {_TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    # -1 stands for an entry that asks for the next number.
    "audit_no_REPLACE": "CREATE TRIGGER audit_no_REPLACE BEFORE INSERT ON audit_auditentry "
    "WHEN NEW.id <> -1 AND NEW.id <= (SELECT MAX(id) FROM audit_auditentry) "
    "BEGIN SELECT RAISE(ABORT, 'audit entries only come after the last one'); END",
}
_BODY = f" BEGIN RAISE EXCEPTION '{_REFUSAL}'; END "
_POSTGRESQL = {
    "audit_append_only": f"CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {_TABLE} "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
}
INSTALL = {
    "sqlite": [*_SQLITE.values()],
    "postgresql": [
        f"CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $${_BODY}$$",
        *_POSTGRESQL.values(),
    ],
}
REMOVE = {
    "sqlite": [f"DROP TRIGGER IF EXISTS {name}" for name in _SQLITE],
    "postgresql": [f"DROP TRIGGER IF EXISTS audit_append_only ON {_TABLE}", "DROP FUNCTION IF EXISTS audit_refuse()"],
}
_LOOK = {
    "sqlite": ("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", (_TABLE,)),
    "postgresql": (
        "SELECT tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid "
        "WHERE tgrelid = to_regclass(%s) AND tgenabled IN ('O', 'A') AND prosrc = %s "
        "AND current_setting('session_replication_role') <> 'replica'",
        (_TABLE, _BODY),
    ),
}
REMEDY = say(
    "Entries can be changed in the database: make it again (docs/audit.md, “Triggers”), then find out who did it."
)


def find_missing() -> list[str]:
    """Return the names of the triggers that are missing, switched off, or not as they were made."""
    wanted = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(*_LOOK[connection.vendor])
        found = dict(cursor.fetchall())
    if connection.vendor == "sqlite":
        return [name for name, sql in wanted.items() if found.get(name) != sql]
    events = ("BEFORE", "DELETE", "UPDATE", "TRUNCATE", "STATEMENT")
    return [name for name in wanted if not all(word in found.get(name, "") for word in events)]


def install(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers; a migration's forward step. Other databases than these two are refused with KeyError."""
    _run(INSTALL, schema_editor)


def remove(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers; a migration's backward step."""
    _run(REMOVE, schema_editor)


def _run(statements: dict[str, list[str]], schema_editor: BaseDatabaseSchemaEditor) -> None:
    for statement in statements[schema_editor.connection.vendor]:
        schema_editor.execute(statement)
