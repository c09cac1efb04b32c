"""Copies of databases that others write meanwhile, with every kind of journal and of lock."""

import io
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from jobs.autosubmit import private_copy
from jobs.autosubmit.database import open_database
from jobs.autosubmit.logs.safe_open import open_inside
from jobs.autosubmit.private_copy import NotCopied, copy_database

# In another process, since the locks of one are all its own.
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a rollback journal, as Autosubmit's."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
    return path


def open_file(path: Path) -> IO[bytes]:
    return io.BufferedReader(open_inside(path.parent, path.name))


def copy(database: Path) -> list[int]:
    """Copy a database and return what it holds."""
    target = database.with_name("copy")
    target.mkdir(exist_ok=True)
    copy_database(database, target / "a.db", open_file)
    with open_database(target / "a.db") as connection:
        return [row["x"] for row in connection.execute("SELECT x FROM t ORDER BY x")]


@contextmanager
def hold(database: Path, *statements: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Have another process execute statements and keep its connection open."""
    argv = [sys.executable, "-c", HOLD, str(database), *statements]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_what_is_committed_is_copied(database: Path) -> None:
    assert copy(database) == [1]


def test_what_is_being_written_is_not_copied(database: Path) -> None:
    """Whoever writes has a journal, and waits for us before changing the file."""
    with hold(database, "BEGIN IMMEDIATE", "INSERT INTO t VALUES (2)"):
        assert copy(database) == [1]


def test_a_database_that_is_locked_is_not_waited_for(database: Path) -> None:
    with hold(database, "BEGIN EXCLUSIVE"), pytest.raises(NotCopied, match="somebody else is writing"):
        copy(database)


def test_a_database_that_was_left_half_written_is_put_off(database: Path) -> None:
    statements = ("PRAGMA cache_size = 1", "BEGIN", "INSERT INTO t SELECT randomblob(9000) FROM t")
    with hold(database, *statements, *["INSERT INTO t SELECT randomblob(9000) FROM t"] * 6) as writer:
        writer.kill()
        writer.wait()
    assert database.with_name("a.db-journal").stat().st_size
    with pytest.raises(NotCopied, match="half written"):
        copy(database)


def test_a_write_ahead_log_is_copied_too(database: Path) -> None:
    with hold(database, "PRAGMA journal_mode = WAL", "INSERT INTO t VALUES (2)"):
        assert copy(database) == [1, 2]


def test_a_log_that_began_anew_meanwhile_is_copied_again(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer brings its log into the database, and begins it anew, just when the database was copied."""
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO t VALUES (2)")
        copied = []

        def copy_and_go_on(file: IO[bytes], target: Path) -> None:
            copied.append(target.name)
            whole(file, target)
            if len(copied) == 1:
                subprocess.run([sys.executable, "-c", HOLD, str(database), *GO_ON], check=True, input=b"")

        whole = private_copy._copy
        monkeypatch.setattr(private_copy, "_copy", copy_and_go_on)
        assert copy(database) == [1, 2, 3]
        assert copied == ["a.db", "a.db-wal"] * 2


GO_ON = ("PRAGMA wal_checkpoint(RESTART)", "INSERT INTO t VALUES (3)")


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_a_named_pipe_is_not_waited_for(database: Path, suffix: str) -> None:
    path = database.with_name(f"a.db{suffix}")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(OSError, match="Not a regular file"):
        copy(database)


def test_a_truncated_shared_memory_is_not_looked_at(database: Path) -> None:
    with hold(database, "PRAGMA journal_mode = WAL", "INSERT INTO t VALUES (2)"):
        os.truncate(database.with_name("a.db-shm"), 0)
        assert copy(database) == [1, 2]


def test_a_database_that_is_too_large_is_not_copied(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_copy, "MOST_BYTES", 100)
    with pytest.raises(NotCopied, match="more than 100 bytes"):
        copy(database)


def test_the_lock_is_let_go(database: Path) -> None:
    copy(database)
    with hold(database, "BEGIN EXCLUSIVE"):
        pass
