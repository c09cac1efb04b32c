"""Read an Autosubmit store in PostgreSQL (`backend = postgres` in its rc file).

The tables have the names and columns of the SQLite files. The tables of one experiment are in a schema with its name;
those of all (`experiment`, `details`, `job_pkl`) are in the schema of the connection. psycopg is imported when a store
is in PostgreSQL, so that all others are read without it.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autosubmit_portal.sentences import say

if TYPE_CHECKING:
    import psycopg

    _Connection = psycopg.Connection[dict[str, Any]]

OF_ALL = ""
"""The key of what belongs to no experiment in `changes`."""

_OPTIONS = "-c default_transaction_read_only=on -c statement_timeout=10000 -c lock_timeout=500"
_TABLES = ["jobs", "experiment_structure", "experiment_run", "job_data", "wrappers_jobs", "preview_wrappers_jobs"]
_TABLES_OF_ALL = ["experiment", "details", "experiment_status"]
_PICKLES = "job_pkl"
# SQLAlchemy, whose form of address Autosubmit takes, lets it name a driver.
_DRIVER = re.compile(r"postgres(ql)?(\+\w+)?://")


class Error(Exception):
    """PostgreSQL does not answer, or there is nothing to ask it with; the text says why."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one experiment, or with a blank `expid` those of all.

    `url` is the `connection_url` of the rc file; it may hold a password.
    """

    url: str
    expid: str

    def __str__(self) -> str:
        return f"of {self.expid or 'all'} in PostgreSQL"


@dataclass(frozen=True, slots=True)
class Changes:
    """What an experiment has: a table of jobs (4.2), a pickle (4.1), and two numbers that change with them."""

    has_jobs: bool = False
    has_pickle: bool = False
    marks: tuple[int, int] = (0, 0)


NO_CHANGES = Changes()


def read_rows(
    schema: Schema, table: str, columns: Sequence[str], clause: str = "", values: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a table's rows, as `jobs.autosubmit.database.read_rows` does; of the table of all pickles one row.

    `values` are those of each `%s` in `clause`. Raises FileNotFoundError and Error.
    """
    is_of_all = table == _PICKLES
    with _connect(schema.url, "" if is_of_all else schema.expid) as connection:
        known = _list_columns(connection, table)
        chosen = ", ".join(f'"{column}"' for column in columns if column in known)
        if not chosen:
            raise FileNotFoundError(say("There is no table {table} {schema}.", table=table, schema=schema))
        query = f"SELECT {chosen} FROM {table} "  # noqa: S608 - constants of the caller
        if is_of_all:
            return _fetch_all(connection, query + "WHERE expid = %s", schema.expid)
        return _fetch_all(connection, query + clause, *values)


def list_tables(schema: Schema) -> set[str]:
    """Return the tables in the schema of an experiment. Raises Error."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = coalesce(nullif(%s, ''), current_schema())"
    with _connect(schema.url) as connection:
        found = _fetch_all(connection, query, schema.expid)
    return {row["tablename"] for row in found}


def read_experiments(url: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of `experiment` and of `details`. Raises Error."""
    with _connect(url) as connection:
        return _fetch_all(connection, "SELECT * FROM experiment ORDER BY id"), _fetch_all(
            connection, "SELECT * FROM details"
        )


def read_changes(url: str) -> dict[str, Changes]:
    """Return what there is of each experiment, and of all under OF_ALL, with two queries. Raises Error.

    PostgreSQL's own statistics count the changes of each table, and follow a change within a second.
    """
    with _connect(url) as connection:
        counted = {row["expid"]: row for row in _fetch_all(connection, _COUNTED, _TABLES_OF_ALL, _TABLES)}
        has_pickles = "pkl" in _list_columns(connection, _PICKLES)
        written = _fetch_all(connection, _WRITTEN) if has_pickles else []
    pickles = {row["expid"]: row["stamp"] for row in written}
    return {
        expid: Changes(
            has_jobs=bool(counted.get(expid, {}).get("has_jobs")),
            has_pickle=expid in pickles,
            marks=(int(counted.get(expid, {}).get("changes", 0)), pickles.get(expid, 0)),
        )
        for expid in counted.keys() | pickles.keys()
    }


# `xmin` is the transaction that wrote the row. Autosubmit writes a new row each time.
_WRITTEN = "SELECT expid, xmin::text::bigint AS stamp FROM job_pkl"
_COUNTED = """
    SELECT CASE WHEN schemaname = current_schema() THEN '' ELSE schemaname END AS expid,
           sum(n_tup_ins + n_tup_upd + n_tup_del + 1) AS changes,
           bool_or(relname = 'jobs') AS has_jobs
    FROM pg_stat_user_tables
    WHERE CASE WHEN schemaname = current_schema() THEN relname = ANY(%s::text[]) ELSE relname = ANY(%s::text[]) END
    GROUP BY 1
"""


def _fetch_all(connection: "_Connection", query: str, *values: object) -> list[dict[str, Any]]:
    return connection.execute(query.encode(), values or None).fetchall()


def _list_columns(connection: "_Connection", table: str) -> set[str]:
    """Return the columns of a table; none if it does not exist."""
    query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
    return {row["attname"] for row in _fetch_all(connection, query, table)}


def keep_connections() -> None:
    """Keep connections open from now on; for a process with one thread that reads often."""
    _kept.is_wanted = True


@dataclass(slots=True)
class _KeptConnections:
    """Connections by their address, if they are kept."""

    is_wanted: bool = False
    connections: "dict[str, _Connection]" = field(default_factory=dict)


_kept = _KeptConnections()


@contextmanager
def _explain_errors() -> Iterator[None]:
    try:
        import psycopg
    except ImportError as error:
        raise Error(say("this Python cannot read PostgreSQL: {error}", error=error)) from error
    try:
        yield
    except psycopg.Error as error:
        raise Error(str(error)) from error


@contextmanager
def _connect(url: str, schema: str = "") -> "Iterator[_Connection]":
    """Open a read-only connection that does not wait long; names without a schema are looked up in `schema`."""
    with _explain_errors():
        connection = _reuse(url, schema) or _open(url, schema)
    try:
        with _explain_errors():
            yield connection
    except Error:
        connection.close()
        raise
    finally:
        if not _kept.is_wanted:
            connection.close()
        elif not connection.closed:
            _kept.connections[url] = connection


def _reuse(url: str, schema: str) -> "_Connection | None":
    """Return the kept connection, unless its server has closed it."""
    connection = _kept.connections.pop(url, None)
    if connection is None:
        return None
    try:
        with _explain_errors():
            return _set_schema(connection, schema)
    except Error:
        connection.close()
        return None


def _open(url: str, schema: str) -> "_Connection":
    import psycopg
    from psycopg.rows import dict_row

    plain = _DRIVER.sub("postgresql://", url, count=1)
    connection = psycopg.connect(plain, row_factory=dict_row, connect_timeout=5, autocommit=True, options=_OPTIONS)
    return _set_schema(connection, schema)


def _set_schema(connection: "_Connection", schema: str) -> "_Connection":
    """Look up names without a schema in `schema`; with a blank one, in that of all experiments."""
    if schema:
        connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", (schema,))
    else:
        connection.execute("RESET search_path")
    return connection
