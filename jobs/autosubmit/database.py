"""Reading one of the SQLite files of a store without ever writing to it or making Autosubmit wait."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

_LOCK_WAIT_SECONDS = 2.0


def rows(path: Path, table: str, columns: Sequence[str], clause: str = "") -> list[dict[str, Any]]:
    """Return a table's rows by column name, with those of `columns` that this version of Autosubmit has.

    `table`, `columns` and `clause` are constants of the caller, never text from outside. Raises FileNotFoundError
    when there is no such file, and sqlite3.Error when it is locked for long, broken, or has no such table.
    """
    os.stat(path)
    uri = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_WAIT_SECONDS)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        chosen = ", ".join(column for column in columns if column in known)
        if not chosen:
            raise sqlite3.DatabaseError(f"it has no table {table} as Autosubmit writes it")
        return [dict(row) for row in connection.execute(f"SELECT {chosen} FROM {table} {clause}")]  # noqa: S608
