"""What is done to a copy of the database, where no trigger holds and nobody looks, is found when it is verified."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from autosubmit_portal.audit import triggers
from autosubmit_portal.audit.verify import COLUMNS
from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import MANAGE
from tests.support.postgres import Postgres, dump, execute
from tests.support.services import Portal

MADE = """
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
details = {"at": [1.5e300, 0.1, 2.0], "é": None}
for number in range(1, 6):
    trail.record(f"test.{number}", origin=Origin(door=Door.API, address="2001:db8::1"), details=details)
"""
OTHERS = ", ".join(name for name in COLUMNS if name not in ("id", "event"))
# What somebody does to the copy, and the entry that is to be named.
TAMPERED = {
    "changed": ("UPDATE audit_auditentry SET actor_name = 'mallory' WHERE event = 'test.3'", "test.3"),
    "deleted": ("DELETE FROM audit_auditentry WHERE event = 'test.2'", "test.3"),
    "inserted": (
        f"INSERT INTO audit_auditentry (id, event, {OTHERS}) "
        f"SELECT id + 1000, 'test.6', {OTHERS} FROM audit_auditentry WHERE event = 'test.5'",
        "test.6",
    ),
    "swapped": (
        "UPDATE audit_auditentry SET id = -id WHERE event IN ('test.2', 'test.3'); "
        "UPDATE audit_auditentry SET id = 1 - id WHERE event = 'test.2'; "
        "UPDATE audit_auditentry SET id = -id - 1 WHERE event = 'test.3'",
        "test.3",
    ),
}


class Copies:
    """A portal with five entries in one database, and copies of it."""

    def __init__(self, folder: Path, server: Postgres | None) -> None:
        self.folder, self.server = folder, server
        self.portal = Portal(folder, Autosubmit(Path("/nowhere"), folder))
        if server:
            self.portal.database_url = server.create_database()
        self.portal.make_tables()
        self.portal.manage("shell", "--no-imports", "-c", MADE)

    def verify(self, url: str) -> subprocess.CompletedProcess[str]:
        """Have a portal verify the trail of a database."""
        environment = self.portal.environment | {"PORTAL_DATABASE_URL": url}
        command = [*MANAGE, "audit", "verify"]
        return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)

    def copy(self, name: str, sql: str) -> str:
        """Return the address of a copy in which somebody has run `sql`, if anything."""
        if self.server:
            url = self.server.create_database()
            execute(dump(self.portal.database_url), url)
            execute(_without_triggers("postgresql", sql), url)
            return url
        copied = self.folder / name
        shutil.copy(self.folder / "portal.sqlite3", copied)
        with closing(sqlite3.connect(copied)) as connection:
            connection.executescript(_without_triggers("sqlite", sql))
        return f"sqlite:///{copied}"

    def number_of(self, url: str, event: str) -> int:
        """Return the number of the entry with this event."""
        sql = f"SELECT id FROM audit_auditentry WHERE event = '{event}'"
        if self.server:
            return int(execute(sql, url))
        with closing(sqlite3.connect(urlsplit(url).path)) as connection:
            return int(connection.execute(sql).fetchone()[0])


def _without_triggers(vendor: str, sql: str) -> str:
    return "; ".join([*triggers.REMOVE[vendor], sql]) if sql else ""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return Copies(tmp_path_factory.mktemp("copies"), server)


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["not at all", *TAMPERED])
def test_what_was_done_to_a_restored_dump_is_found(copies: Copies, how: str) -> None:
    sql, event = TAMPERED.get(how, ("", ""))
    url = copies.copy(how.replace(" ", "_"), sql)
    verified = copies.verify(url)
    if not event:
        assert (verified.returncode, "entries examined" in verified.stdout) == (0, True)
        return
    assert verified.returncode == 1
    assert verified.stdout.startswith(f"Entry {copies.number_of(url, event)} ")
