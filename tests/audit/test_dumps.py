"""What is done to a copy of the database, where no trigger holds and nobody looks, is found when it is verified."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from autosubmit_portal.audit import triggers
from autosubmit_portal.audit.verify import COLUMNS
from autosubmit_portal.management.processes import MANAGE
from tests.support.postgres import Postgres, binaries

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
        self.url = self._empty("first")
        self.manage(self.url, "migrate", "--verbosity=0")
        self.manage(self.url, "shell", "--no-imports", "-c", MADE)

    def _empty(self, name: str) -> str:
        return self.server.create_database() if self.server else f"sqlite:///{self.folder / name}"

    def manage(self, url: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PORTAL_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        return subprocess.run(
            [*MANAGE, *words],
            env=environment,
            text=True,
            capture_output=True,
            check=check,
        )

    def copy(self, name: str, sql: str) -> str:
        """Return the address of a copy in which somebody has run `sql`, if anything."""
        url = self._empty(name)
        if self.server:
            self._psql(url, self._program("pg_dump", _plain(self.url)))
            self._psql(url, _without_triggers("postgresql", sql))
            return url
        shutil.copy(urlsplit(self.url).path, urlsplit(url).path)
        with sqlite3.connect(urlsplit(url).path) as connection:
            connection.executescript(_without_triggers("sqlite", sql))
        connection.close()
        return url

    def _psql(self, url: str, text: str) -> None:
        self._program("psql", "--quiet", "--set=ON_ERROR_STOP=1", _plain(url), text=text)

    def _program(self, name: str, *words: str, text: str = "") -> str:
        command = [str(binaries() / name), *words]
        return subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout

    def number_of(self, url: str, event: str) -> str:
        """Return the number of the entry with this event."""
        found = self.manage(url, "audit", "export", "--event", event, "--format", "csv").stdout
        return found.splitlines()[1].split(",")[0].strip('"')


def _without_triggers(vendor: str, sql: str) -> str:
    return "; ".join([*triggers.REMOVE[vendor], sql]) if sql else ""


def _plain(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return Copies(tmp_path_factory.mktemp("copies"), server)


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["not at all", *TAMPERED])
def test_what_was_done_to_a_restored_dump_is_found(copies: Copies, how: str) -> None:
    sql, event = TAMPERED.get(how, ("", ""))
    url = copies.copy(how.replace(" ", "_"), sql)
    verified = copies.manage(url, "audit", "verify", check=False)
    if not event:
        assert (verified.returncode, "entries examined" in verified.stdout) == (0, True)
        return
    assert verified.returncode == 1
    assert verified.stdout.startswith(f"Entry {copies.number_of(url, event)} ")
