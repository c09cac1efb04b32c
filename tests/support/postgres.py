"""A real PostgreSQL: the one of TEST_DATABASE_URL, or a private one from the Debian packages.

`python -m tests.support.postgres COMMAND…` runs a command with PORTAL_DATABASE_URL set to it.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.support.waiting import PATIENCE

# Durability is of no use to tests, but to those that kill the server: they outlive no crash of the host, only its own.
OPTIONS = "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c max_connections=500"
FAST = "-c synchronous_commit=off"


class NoPostgres(Exception):
    """There is no PostgreSQL to test with; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server; `url` names a database of it that can be connected to."""

    url: str

    def create_database(self) -> str:
        """Create an empty database and return its address."""
        name = f"portal_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database that create_database returned, whoever is connected to it."""
        name = urlsplit(url).path.strip("/")
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Execute one statement, outside of transactions."""
        with psycopg.connect(_of_psql(self.url), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server() -> Iterator[Postgres]:
    """Give a server for as long as the block lasts."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield Postgres(given)
        return
    with private_server(more_options=FAST) as made:
        yield Postgres(made.url)


@dataclass(frozen=True, slots=True)
class PrivateServer:
    """A server of our own from the Debian packages, in a folder."""

    folder: Path
    options: str

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"postgres://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it, after a crash too, and wait until it answers."""
        self._control("-l", str(self.folder / "log"), "-o", self.options, "start")

    def crash(self) -> None:
        """End it at once, as when it is killed: no connection is closed, nothing is written."""
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        seconds = str(int(PATIENCE))
        _run([str(binaries() / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-t", seconds, "-s", *arguments])


@contextmanager
def private_server(*, more_options: str = "") -> Iterator[PrivateServer]:
    """Give a server of our own for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="portal-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    made = PrivateServer(folder, f"{OPTIONS.format(folder)} {more_options}")
    data = folder / "data"
    try:
        _run([str(binaries() / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"])
        made.start()
        yield made
    finally:
        if (data / "postmaster.pid").exists():
            made.crash()
        shutil.rmtree(folder)


def dump(url: str) -> str:
    """Return what is in a database, as SQL."""
    return _program("pg_dump", _of_psql(url))


def execute(sql: str, url: str) -> str:
    """Execute what `dump` returned, or other SQL, in a database; return the rows of its answers, one a line."""
    return _program("psql", "-qAt", "--set=ON_ERROR_STOP=1", _of_psql(url), text=sql)


def _program(name: str, *words: str, text: str = "") -> str:
    command = [str(binaries() / name), *words]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout


def _of_psql(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)


def binaries() -> Path:
    """Return the folder of the programs of the newest server; raise NoPostgres without any."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    raise NoPostgres(
        "No PostgreSQL server to test with: install it (Debian: apt-get install postgresql) "
        "or name one in TEST_DATABASE_URL."
    )


def _run(command: list[str]) -> None:
    """Run as the account `postgres` when root, as whom the server refuses to run."""
    if os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoPostgres(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def main() -> int:
    """Run the command of the arguments with a PostgreSQL database."""
    with server() as postgres:
        environment = os.environ | {"PORTAL_DATABASE_URL": postgres.url, "TEST_DATABASE_URL": postgres.url}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
