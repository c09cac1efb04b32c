"""Store files as somebody who means harm, a full disk or a dying process leaves them; from a seed, so they come again.

`FUZZ_ROUNDS` (default 1) and `FUZZ_SEED` (default 1) in the environment make a longer or another run.
"""

import os
import pickle
import pickletools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.support import stores

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "1"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SEEDS = range(SEED, SEED + ROUNDS)
PICKLE_2 = b"\x80\x02"
TUPLE = b"(" + b"U\x01aK\x01K\x01K\x01" + b"N" * 8 + b"t"

GREEDY: dict[str, bytes] = {
    "a key nested so deeply that its hash overflows the stack": PICKLE_2 + b"})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "a list nested so deeply": PICKLE_2 + b"]" * 300_000 + b"a" * 299_999 + b".",
    "states nested so deeply": PICKLE_2 + b"cautosubmit.job.job\nJob\n)\x81" * 100_000 + b"b" * 99_999 + b".",
    "one job a million times": PICKLE_2 + b"](" + TUPLE + b"q\x00" + b"h\x00" * 1_000_000 + b"e.",
    "a place in the memo beyond all memory": PICKLE_2 + b"Nr\xff\xff\xff\x7f.",
    "a frame beyond all memory": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b".",
    "bytes beyond all memory": b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b".",
    "bytes of zeros beyond the limit": b"\x80\x05\x96" + (900 * 2**20).to_bytes(8, "little") + b".",
    "a number of a million digits": PICKLE_2 + b"\x8b" + (500_000).to_bytes(4, "little") + b"\x01" * 500_000 + b".",
    "digits that take hours to read": PICKLE_2 + b"I" + b"9" * 1_000_000 + b"\n.",
    "a date out of nothing": PICKLE_2 + b"cdatetime\ndatetime\n(U\x0a" + b"\xff" * 10 + b"tR.",
}
"""Pickles that name nothing forbidden and ask for too much."""


def payload(trace: Path) -> bytes:
    """Return the part of a pickle that makes a file and leaves nothing on the stack, if names were not refused."""
    command = f"touch {trace}".encode()
    return b"cposix\nsystem\n(X" + len(command).to_bytes(4, "little") + command + b"tR0"


def pickles(random: Random, trace: Path) -> Iterator[bytes]:
    """Yield mutations of the recorded job lists: cut, flipped, spliced, and with code to run inside."""
    wholes = [path.read_bytes() for path in (*stores.PICKLES, *stores.YAML_PICKLES)]
    for whole in wholes:
        for mutate in (cut, flipped, spliced):
            yield mutate(random, whole, random.choice(wholes))
        yield _with_payload(random, whole, payload(trace))


def databases(random: Random, path: Path) -> Iterator[bytes]:
    """Yield mutations of a SQLite file."""
    whole = path.read_bytes()
    for mutate in (cut, flipped, flipped, spliced):
        yield mutate(random, whole, whole)


def cut(random: Random, whole: bytes, _other: bytes) -> bytes:
    """Return the beginning of it."""
    return whole[: random.randrange(len(whole))]


def flipped(random: Random, whole: bytes, _other: bytes) -> bytes:
    """Return it with up to twenty bytes changed."""
    data = bytearray(whole)
    for _ in range(random.randrange(1, 20)):
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data)


def spliced(random: Random, whole: bytes, other: bytes) -> bytes:
    """Return it with a piece replaced by a piece of another."""
    start, begin = random.randrange(len(whole)), random.randrange(len(other))
    length = random.randrange(1, 2000)
    return whole[:start] + other[begin : begin + length] + whole[start + random.randrange(length) :]


def _with_payload(random: Random, whole: bytes, code: bytes) -> bytes:
    """Put code between two instructions."""
    places: list[int] = []
    with suppress(ValueError):  # the texts of Python 2 are read by those who tell its encoding
        places += (place for _, _, place in pickletools.genops(whole) if place)
    place = random.choice(places[2:])
    return whole[:place] + code + whole[place:]


# --- What jobs and commands print


_PRINTED = (
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\x1b[",
        b"\x1b",
        b"m",
        b"K",
        b";",
        b"31",
        b"\x1b[0m",
        b"\x1b[1;31m",
        b"\x1b[2K",
        b"\x1b]0;t\x07",
    ),
    *(
        b"<script>",
        b"&amp;",
        b'"',
        "é".encode(),
        "😀".encode(),
        "²".encode(),
        b"\xff",
        b"\xe2\x82",
        b"\0",
        b"\x08",
        b"9" * 5000,
    ),
    *(b"[CRITICAL] ", b"[eCode=", b"7000]", b"Trace: ", b"CHANGED: job: a status to: READY\n", b"word ", b"x" * 3000),
)


def printed(random: Random) -> bytes:
    """Return what a program might print that prints anything: whole and cut sequences, long lines, half characters."""
    wild = random.randbytes(random.randrange(2000))
    parts = [random.choice((*_PRINTED, wild)) for _ in range(random.randrange(1, 120))]
    return b"".join(parts) * random.choice((1, 1, 30))


# --- Files that are no files, and databases that compute


def _view(path: Path) -> None:
    script = """CREATE VIEW jobs AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
        SELECT 'a' || x AS name, 'READY' AS status FROM n;"""
    stores.make_database(path, script)


def _generated(path: Path) -> None:
    script = """CREATE TABLE jobs (name TEXT, status TEXT AS (hex(zeroblob(100000000))), section TEXT);
        INSERT INTO jobs (name) VALUES ('a'), ('b'), ('c');"""
    stores.make_database(path, script)


def _trigger_and_index(path: Path) -> None:
    script = """CREATE TABLE jobs (name TEXT, status TEXT);
        CREATE INDEX i ON jobs (length(hex(zeroblob(1000))));
        INSERT INTO jobs VALUES ('../../etc/passwd', 'x'), (x'00ff', 5), (NULL, NULL);"""
    stores.make_database(path, script)


def _named_pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _circle(path: Path) -> None:
    path.symlink_to(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _magic_only(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def _garbage(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" * 400)


STRANGE: dict[str, Callable[[Path], None]] = {
    make.__name__.strip("_"): make
    for make in (
        _view,
        _generated,
        _trigger_and_index,
        _named_pipe,
        _endless,
        _circle,
        _folder,
        _empty,
        _magic_only,
        _garbage,
    )
}
"""What else may stand where a job list or a database belongs, each made at a path."""

NAMES: list[object] = [
    "../../etc",
    "a000; touch x",
    "a000\n",
    "",
    None,
    5,
    b"\x00\xff",
    "a" * 10_000,
    "ａ０００",
    "a0\0b",
    "....",
    "-rf0",
    "/etc/passwd",
    "A000",
]
"""Names of experiments in `autosubmit.db`; of these only the last can be one."""


def add_experiments(database: Path, names: list[object]) -> None:
    """Add experiments to an `autosubmit.db`."""
    connection = sqlite3.connect(database)
    with connection:
        values = [(name, f"text of {name!r}", "4.1.17") for name in names]
        connection.executemany(
            "INSERT INTO experiment (name, description, autosubmit_version) VALUES (?, ?, ?)", values
        )
    connection.close()


def make_endless_pickle() -> bytes:
    """Return a few bytes with a key whose hash takes for ever."""
    key: tuple[Any, ...] = ()
    for _ in range(90):
        key = (key, key)
    return pickle.dumps(_Unmade(key))


class _Unmade:
    """Writes a dict with a key without making it."""

    def __init__(self, key: object) -> None:
        self.key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (), None, None, iter([(self.key, 1)])
