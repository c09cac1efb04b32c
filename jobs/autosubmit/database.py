"""Reading one of the databases of a store without ever writing to it or making Autosubmit wait.

A SQLite file may have been written by somebody who means harm, so it is read as SQLite's authors advise for such files:
tables only, no view or trigger, no memory mapping, and limits on the time, the rows and the bytes.
"""

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from autosubmit_portal.sentences import say
from jobs.autosubmit import postgres
from jobs.autosubmit.postgres import Schema

Source = Path | Schema
"""A SQLite file, or a schema of Autosubmit's PostgreSQL."""

SQLITE_MAGIC = b"SQLite format 3\0"
MAX_ROWS = 2_000_000
MAX_BYTES = 512 * 1024 * 1024
MAX_SECONDS = 10.0
"""Of computing; a busy machine may take longer for it."""
MAX_WAIT_SECONDS = 60.0
# Autosubmit holds an exclusive lock for milliseconds; whoever holds it longer does not keep the others waiting.
_LOCK_WAIT_SECONDS = 0.5
_STEPS_BETWEEN_LOOKS = 100_000
_LONG = (str, bytes)  # a union is asked half as fast


@dataclass(slots=True)
class Access:
    """How the files of a store are opened, and which file SQLite reads in place of a database."""

    open: Callable[[Path], AbstractContextManager[IO[bytes]]]
    lend: Callable[[Path], AbstractContextManager[Path]]


class UnreadableDatabase(Exception):
    """A database is locked for long, broken, not reachable, or lacks a table; the text says which."""


def read_rows(
    source: Source,
    table: str,
    columns: Sequence[str],
    clause: str = "",
    values: Sequence[str] = (),
    *,
    most_bytes: int = MAX_BYTES,
) -> list[dict[str, Any]]:
    """Return a table's rows by column name, with those of `columns` that this version of Autosubmit has.

    `table`, `columns` and `clause` are constants of the caller, never text from outside; `values` are those of the
    question marks in `clause`. Texts of more than `most_bytes` in a file are refused. Raises FileNotFoundError when
    there is no such file, or no such table in PostgreSQL, OSError and UnreadableDatabase for all else.
    """
    return list(iterate_rows(source, table, columns, clause, values, most_bytes=most_bytes))


def iterate_rows(
    source: Source,
    table: str,
    columns: Sequence[str],
    clause: str = "",
    values: Sequence[str] = (),
    *,
    most_bytes: int = MAX_BYTES,
) -> Iterator[dict[str, Any]]:
    """Yield what `read_rows` returns, one by one, for a table that is too long to be held. Raises as it does.

    Autosubmit cannot write meanwhile: do not do much between two rows.
    """
    if isinstance(source, Schema):
        with _explain_errors(postgres.Error):
            yield from postgres.read_rows(source, table, columns, clause.replace("?", "%s"), values)
        return
    with open_database(source) as connection:
        yield from select_rows(connection, table, columns, clause, values, most_bytes=most_bytes)


def read_rows_of_tables(
    source: Source, names: Sequence[str], columns: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of those of the tables that there are, by table; of a file on one connection.

    Names and columns are as for `read_rows`. Raises as it does.
    """
    if isinstance(source, Schema):
        return {name: read_rows(source, name, columns) for name in list_tables(source).intersection(names)}
    with open_database(source) as connection:
        present = list_tables_of(connection)
        return {name: list(select_rows(connection, name, columns)) for name in names if name in present}


def list_tables(source: Source) -> set[str]:
    """Return the names of the tables. Raises as `read_rows` does."""
    if isinstance(source, Schema):
        with _explain_errors(postgres.Error):
            return postgres.list_tables(source)
    with open_database(source) as connection:
        return list_tables_of(connection)


def open_regular(path: Path) -> AbstractContextManager[IO[bytes]]:
    """Open a regular file; raise OSError for anything else, such as a named pipe, which would be waited for."""
    return _access.open(path)


def change_access(access: Access) -> None:
    """Open the files of stores in another way from now on, in all of this process."""
    _access.open, _access.lend = access.open, access.lend


@contextmanager
def _open_in_place(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(say("{path} is not a regular file", path=path))
        yield file


@contextmanager
def _lend_in_place(path: Path) -> Iterator[Path]:
    with _open_in_place(path):  # sqlite3 does not tell why it cannot open a file
        pass
    yield path


_access = Access(_open_in_place, _lend_in_place)


@contextmanager
def open_database(path: Path, *, wait_seconds: float = _LOCK_WAIT_SECONDS) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file with the limits of this module; wait so long while it is locked. Raises as `read_rows`."""
    with (
        _access.lend(path) as file,
        _explain_errors(sqlite3.Error, UnicodeDecodeError),  # it fails to decode the names in its own messages
        closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=wait_seconds)) as connection,
    ):
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        if sys.version_info >= (3, 11):
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        end, latest = time.thread_time() + MAX_SECONDS, time.monotonic() + MAX_WAIT_SECONDS
        connection.set_progress_handler(
            lambda: time.thread_time() > end or time.monotonic() > latest, _STEPS_BETWEEN_LOOKS
        )
        yield connection


@contextmanager
def _explain_errors(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise UnreadableDatabase(str(error).strip()) from error


def list_tables_of(connection: sqlite3.Connection) -> set[str]:
    """Return the tables that hold rows of their own: a view, or a virtual table, computes them."""
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage > 0")
    return {row["name"] for row in found}


def select_rows(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    clause: str = "",
    values: Sequence[str] = (),
    *,
    most_bytes: int = MAX_BYTES,
) -> Iterator[dict[str, Any]]:
    """Yield rows as `read_rows` returns them; `values` are those of the question marks in `clause`."""
    if table not in list_tables_of(connection):
        raise UnreadableDatabase(say("it has no table {table} as Autosubmit writes it", table=table))
    known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    chosen = ", ".join(column for column in columns if column in known)
    if not chosen:
        raise UnreadableDatabase(say("its table {table} is not one that Autosubmit writes", table=table))
    query = f"SELECT {chosen} FROM {table} {clause}"  # noqa: S608 - constants of the caller
    return _limit_rows(connection.execute(query, values), most_bytes)


def _limit_rows(cursor: sqlite3.Cursor, most_bytes: int) -> Iterator[dict[str, Any]]:
    """Yield the rows. There may be very many, and sqlite3.Row makes a dict five times as slowly."""
    names, total = [name for name, *_ in cursor.description], 0
    cursor.row_factory = None
    for number, row in enumerate(cursor):
        for value in row:
            if isinstance(value, _LONG):
                total += len(value)
        if number >= MAX_ROWS or total > most_bytes:
            raise UnreadableDatabase(say("it holds more than Autosubmit ever writes"))
        yield dict(zip(names, row, strict=True))
