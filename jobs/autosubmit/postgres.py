"""Reading what Autosubmit keeps in PostgreSQL instead of in files: with `backend = postgres` in its rc file.

The tables have the names and columns of the SQLite files. Those of one experiment are in a schema that is named after it;
what belongs to all (`experiment`, `details`, `job_pkl`) is in the schema of the connection.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Error = psycopg.Error

_OPTIONS = "-c default_transaction_read_only=on -c statement_timeout=10000 -c lock_timeout=500"
_WATCHED = ("jobs", "experiment_structure", "experiment_run", "job_data")


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one experiment. `url` is the `connection_url` of the rc file; it may hold a password."""

    url: str
    expid: str

    def __str__(self) -> str:
        return f"of {self.expid} in PostgreSQL"


def rows(schema: Schema, table: str, columns: Sequence[str], clause: str = "") -> list[dict[str, Any]]:
    """Return a table's rows, as `jobs.autosubmit.database.rows` does. Raises FileNotFoundError and Error."""
    where, names = _place(schema, table)
    with connected(schema.url) as connection:
        known = _columns(connection, names, table)
        chosen = [sql.Identifier(column) for column in columns if column in known]
        if not chosen:
            raise FileNotFoundError(f"There is no table {table} {schema}.")
        query = sql.SQL("SELECT {} FROM {} {} {}").format(
            sql.SQL(", ").join(chosen), sql.Identifier(*names, table), where, sql.SQL(clause)
        )
        return connection.execute(query).fetchall()


def tables(schema: Schema) -> set[str]:
    """Return the tables of an experiment. Raises Error."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    with connected(schema.url) as connection:
        return {row["tablename"] for row in connection.execute(query, (schema.expid,))}


def changes(url: str) -> dict[str, tuple[int, int, int]]:
    """Return for each experiment what tells whether its tables have changed, with two queries. Raises Error.

    The counters of PostgreSQL's own statistics are taken: they follow a change within a second.
    """
    counted = """SELECT schemaname AS expid, sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint AS changes, count(*) AS tables
        FROM pg_stat_user_tables WHERE relname = ANY(%s) GROUP BY schemaname"""
    with connected(url) as connection:
        found = {row["expid"]: (row["changes"], row["tables"]) for row in connection.execute(counted, (list(_WATCHED),))}
        pickles = {}
        if _columns(connection, (), "job_pkl"):
            pickles = {row["expid"]: row["stamp"] for row in connection.execute("SELECT expid, xmin::text::bigint AS stamp FROM job_pkl")}
    return {expid: (*found.get(expid, (0, 0)), pickles.get(expid, 0)) for expid in found.keys() | pickles.keys()}


@contextmanager
def connected(url: str) -> Iterator["psycopg.Connection[dict[str, Any]]"]:
    """Open a connection that cannot write and does not wait long."""
    plain = url.replace("+psycopg2", "", 1).replace("+psycopg", "", 1)
    with psycopg.connect(plain, row_factory=dict_row, connect_timeout=5, options=_OPTIONS) as connection:
        yield connection
