"""A real Redis: a private one from the Debian package, on a socket and in memory only."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.waiting import wait_for


class NoRedis(Exception):
    """There is no Redis to test with; the message says what to install."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server: its address for PORTAL_BROKER_URL, and its process."""

    url: str
    pid: int


@contextmanager
def server() -> Iterator[RedisServer]:
    """Give a server for as long as the block lasts."""
    program = shutil.which("redis-server")
    if program is None:
        raise NoRedis("No Redis server to test with: install it (Debian: apt-get install redis-server).")
    folder = Path(tempfile.mkdtemp(prefix="portal-redis-"))
    options = ["--port", "0", "--unixsocket", str(folder / "socket"), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        made = RedisServer(f"unix://{folder / 'socket'}", process.pid)
        wait_for(lambda: _answers(made.url))
        yield made
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


def _answers(url: str) -> bool:
    with suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        return bool(client.ping())
    return False
