"""A copy of a SQLite database that nobody else can touch while it is read.

It is made under SQLite's SHARED lock, which keeps writers with a rollback journal from changing the file for that
moment. With a write-ahead log they do change it: then the log is copied after the database, and both again if the log
has begun anew meanwhile. See https://www.sqlite.org/lockingv3.html and https://www.sqlite.org/walformat.html.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from autosubmit_portal.sentences import say

MOST_BYTES = 512 * 1024 * 1024
"""Of a database, and of its log."""

Open = Callable[[Path], IO[bytes]]
"""Opens a regular file for reading and never waits. Raises FileNotFoundError and OSError."""

_PENDING, _RESERVED, _SHARED, _SHARED_BYTES = 0x40000000, 0x40000001, 0x40000002, 510
_FLOCK = struct.Struct("hhqqi4x")
# The beginning of a log, up to its salts: another after each time that it begins anew.
_LOG_HEAD_BYTES = 24
_PIECE_BYTES = 1024 * 1024
# Writers hold their lock for milliseconds.
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)


class NotCopied(OSError):
    """A database cannot be copied now; the text says why."""


def copy_database(database: Path, target: Path, open_file: Open) -> None:
    """Copy a database and its log. Raises NotCopied and other OSErrors."""
    for pause in _PAUSES:
        try:
            if _try_to_copy(database, target, open_file):
                return
        except BlockingIOError:
            pass
        time.sleep(pause)
    raise NotCopied(say("somebody else is writing into it"))


def _try_to_copy(database: Path, target: Path, open_file: Open) -> bool:
    log = database.with_name(f"{database.name}-wal")
    with open_file(database) as file, _share(file):
        _refuse_hot_journal(database, file, open_file)
        before = _read_head(log, open_file)
        _copy(file, target)
        with _open_if_there(log, open_file) as pages:
            if pages:
                _copy(pages, target.with_name(f"{target.name}-wal"))
        return _read_head(log, open_file) == before


@contextmanager
def _share(file: IO[bytes]) -> Iterator[None]:
    """Hold SQLite's SHARED lock. Raises BlockingIOError when somebody holds, or waits for, the exclusive one."""
    sharing = fcntl.LOCK_SH | fcntl.LOCK_NB
    fcntl.lockf(file, sharing, 1, _PENDING)
    try:
        fcntl.lockf(file, sharing, _SHARED_BYTES, _SHARED)
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, _PENDING)
    try:
        yield
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN, _SHARED_BYTES, _SHARED)


def _refuse_hot_journal(database: Path, file: IO[bytes], open_file: Open) -> None:
    """Leave a database that a writer has left half written: Autosubmit repairs it when it opens it."""
    with _open_if_there(database.with_name(f"{database.name}-journal"), open_file) as journal:
        if journal and journal.read(1) not in (b"", b"\0") and not _has_writer(file):
            raise NotCopied(say("it was left half written, and waits for Autosubmit to repair it"))


def _has_writer(file: IO[bytes]) -> bool:
    """Return whether somebody has SQLite's RESERVED lock, who writes into the database only after we let it go."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _RESERVED, 1, 0)
    kind, *_ = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return bool(kind != fcntl.F_UNLCK)


@contextmanager
def _open_if_there(path: Path, open_file: Open) -> Iterator[IO[bytes] | None]:
    try:
        file = open_file(path)
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


def _read_head(log: Path, open_file: Open) -> bytes:
    with _open_if_there(log, open_file) as file:
        return file.read(_LOG_HEAD_BYTES) if file else b""


def _copy(file: IO[bytes], target: Path) -> None:
    left = MOST_BYTES
    with target.open("wb") as copy:
        while piece := file.read(_PIECE_BYTES):
            left -= len(piece)
            if left < 0:
                raise NotCopied(say("it has more than {most} bytes", most=f"{MOST_BYTES:,}"))
            copy.write(piece)
