"""Rows of the database of a fleet, read without the portal."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import psycopg

from tests.tools.chaos.fleet import Fleet


def query(fleet: Fleet, statement: str) -> list[dict[str, Any]]:
    """Return rows of the portal's database, asked for directly."""
    with closing(_connection(fleet)) as connection:
        cursor = connection.execute(statement)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, map(_parsed, row), strict=True)) for row in cursor.fetchall()]


def _connection(fleet: Fleet) -> Any:
    url = fleet.portal.database_url
    if url:
        return psycopg.connect(url.replace("postgres://", "postgresql://", 1))
    return sqlite3.connect(fleet.portal.home / "portal.sqlite3", timeout=60)


def _parsed(value: Any) -> Any:
    is_json = isinstance(value, str) and value[:1] in ("[", "{")
    return json.loads(value) if is_json else value
