"""Whether the tables are those of the migrations that there are, and what becomes of a database that older ones made.

There is one migration for each app now. Those before had the first name too, so that Django would take it as applied.
"""

from django.core.management import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

# The last migrations of before: with them the tables are what one migration for each app makes.
LAST = {
    ("access", "0010_newest_tokens"),
    ("audit", "0008_places"),
    ("experiments", "0020_lender"),
    ("jobs", "0006_filters"),
}
REVISION = "52d03db"  # had all of them


def is_current(connection: BaseDatabaseWrapper) -> bool:
    """Return whether `migrate` has nothing to do."""
    executor = MigrationExecutor(connection)
    return not (executor.migration_plan(executor.loader.graph.leaf_nodes()) or _find_replaced(connection))


def require_known_state(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError for a database that is older than the last migrations of before."""
    replaced = _find_replaced(connection)
    missing = ", ".join(f"{app} {name}" for app, name in sorted(LAST - replaced))
    if replaced and missing:
        raise CommandError(
            f"This database was made by an older portal and lacks what is no longer here: {missing}. Nothing was "
            f"changed. Run `migrate` of the portal's revision {REVISION} first, or begin with a new database."
        )


def forget_replaced(connection: BaseDatabaseWrapper) -> None:
    """Remove the rows of the migrations that are no longer here."""
    recorder = MigrationRecorder(connection)
    for app, name in _find_replaced(connection):
        recorder.record_unapplied(app, name)


def _find_replaced(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    loader = MigrationLoader(connection)
    ours = {app for app, _ in LAST}
    return {key for key in loader.applied_migrations if key[0] in ours} - set(loader.disk_migrations)
