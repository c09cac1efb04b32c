"""The trigram index, which finds jobs by a part of their name.

PostgreSQL has it with the extension pg_trgm, and uses it by itself. SQLite has it since 3.34, as a table that triggers
keep up to date.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from autosubmit_portal.sentences import say

EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
INDEX = "CREATE INDEX IF NOT EXISTS jobs_name_trigrams ON jobs_job USING gin (upper(name) gin_trgm_ops)"
REMEDIES = {
    "postgresql": say(
        "Have a superuser of the database run in it: `{extension}; {index};`", extension=EXTENSION, index=INDEX
    ),
    "sqlite": say("Run `{command_line} migrate`, which makes it.", command_line=settings.COMMAND_LINE),
}
# It knows in which names a group occurs and not where: a tenth of the size, and candidates are compared anyway.
_NAMES = (
    "CREATE VIRTUAL TABLE jobs_names USING fts5(name, content='jobs_job', content_rowid='id', "
    "tokenize='trigram', detail=none, columnsize=0)"
)
_ADD = "INSERT INTO jobs_names(rowid, name) VALUES (NEW.id, NEW.name);"
_TAKE_OUT = "INSERT INTO jobs_names(jobs_names, rowid, name) VALUES ('delete', OLD.id, OLD.name);"
_TRIGGERS = {
    "jobs_names_added": f"AFTER INSERT ON jobs_job BEGIN {_ADD} END",
    "jobs_names_gone": f"AFTER DELETE ON jobs_job BEGIN {_TAKE_OUT} END",
    "jobs_names_changed": f"AFTER UPDATE OF id, name ON jobs_job BEGIN {_TAKE_OUT} {_ADD} END",
}
_IN_BULK = ("jobs_names_added", "jobs_names_gone")
_ADD_ALL = "INSERT INTO jobs_names(rowid, name) SELECT id, name FROM jobs_job WHERE id > %s"
_TAKE_ALL_OUT = "INSERT INTO jobs_names(jobs_names, rowid, name) SELECT 'delete', * FROM ({})"
_PARTS = {*_TRIGGERS, "jobs_names"}
_FIND = "SELECT rowid FROM jobs_names WHERE jobs_names MATCH %s"
_COUNT = f"SELECT COUNT(*) FROM ({_FIND} LIMIT %s)"  # noqa: S608 - ours
GROUP = 3
MOST_GROUPS = 50
# A text that more names than this contain is found soon by reading the jobs in their order.
MOST_CANDIDATES = 10_000


def make(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the index of PostgreSQL if the account may; a migration's forward step. Without it searches are slow."""
    if schema_editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic():
            schema_editor.execute(EXTENSION)
            schema_editor.execute(INDEX)
    except DatabaseError as error:  # the account may not, or the extension is not installed
        print(
            f" no index for searches of jobs ({str(error).splitlines()[0]}); see `{settings.COMMAND_LINE} doctor` ",
            end="",
        )


def restore_index(**_: Any) -> None:
    """Rebuild the index of SQLite if a part of it is missing; called after each migrate.

    A migration may recreate a table, which then loses its triggers; changes without triggers are not in the index.
    """
    if connection.vendor != "sqlite" or not is_missing():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        for name in _TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute("DROP TABLE IF EXISTS jobs_names")
        cursor.execute(_NAMES)
        for name, what in _TRIGGERS.items():
            cursor.execute(f"CREATE TRIGGER {name} {what}")
        cursor.execute("INSERT INTO jobs_names(jobs_names) VALUES ('rebuild')")


@contextmanager
def write_in_bulk(gone: Iterable[QuerySet[Any]]) -> Iterator[None]:
    """Update the index of SQLite once for all added jobs and those in `gone`; call it in a transaction.

    A trigger makes FTS5 write its part of the index for each row, and merge it with all others: 10,000 rows took 8 s
    beside 140,000 others, and more beside more. Here they take 0.2 s. A transaction that fails has its triggers back.
    """
    if connection.vendor != "sqlite" or not _list_present().issuperset(_PARTS):
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM jobs_job")
        (last,) = cursor.fetchone()
        for name in _IN_BULK:
            cursor.execute(f"DROP TRIGGER {name}")
        for jobs in gone:
            sql, params = jobs.order_by().values_list("pk", "name").query.sql_with_params()
            cursor.execute(_TAKE_ALL_OUT.format(sql), params)
        yield
        cursor.execute(_ADD_ALL, [last])
        for name in _IN_BULK:
            cursor.execute(f"CREATE TRIGGER {name} {_TRIGGERS[name]}")


def is_missing() -> bool:
    """Return whether the database could have the index but has not; False before the table exists."""
    if connection.vendor == "sqlite":
        there = _list_present()
        return "jobs_job" in there and not there.issuperset(_PARTS) and _is_possible()
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('jobs_job') IS NOT NULL AND to_regclass('jobs_name_trigrams') IS NULL")
        return bool(cursor.fetchone()[0])


def get_remedy() -> str:
    """Return what to do when the index is missing."""
    return REMEDIES[connection.vendor]


def narrow(jobs: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Return `jobs`, without those whose names have not all words of `text` if that leaves few; only SQLite needs it.

    Some of what is left may not have them either: its letters occur there in another order.
    """
    groups = list(dict.fromkeys(group for word in text.split() for group in _split_groups(word)))[:MOST_GROUPS]
    if connection.vendor != "sqlite" or not groups or not _list_present().issuperset(_PARTS):
        return jobs
    quoted = (group.replace('"', '""') for group in groups)
    match = " AND ".join(f'"{group}"' for group in quoted)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [match, MOST_CANDIDATES + 1])
        if cursor.fetchone()[0] > MOST_CANDIDATES:
            return jobs
    return jobs.filter(pk__in=RawSQL(_FIND, [match]))  # noqa: S611 - a constant


def _split_groups(word: str) -> list[str]:
    return [word[start : start + GROUP] for start in range(len(word) - GROUP + 1)]


def _list_present() -> set[str]:
    """Return the existing parts of SQLite's index, and `jobs_job` if the table exists."""
    names = ["jobs_job", *_PARTS]
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(names))
        cursor.execute(f"SELECT name FROM sqlite_master WHERE name IN ({places})", names)  # noqa: S608 - ours
        return {name for (name,) in cursor}


def _is_possible() -> bool:
    """Return whether this SQLite supports the index."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE VIRTUAL TABLE temp.jobs_trial USING fts5(name, tokenize='trigram')")
            cursor.execute("DROP TABLE temp.jobs_trial")
    except DatabaseError:
        return False
    return True
