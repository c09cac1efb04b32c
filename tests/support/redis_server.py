"""A real Redis: a private one from the Debian package, on a socket and in memory only."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.support.waiting import PATIENCE, wait_for


class NoRedis(Exception):
    """There is no Redis to test with; the message says what to install."""


@dataclass(slots=True)
class RedisServer:
    """A server: its address for PORTAL_BROKER_URL, and its process."""

    folder: Path
    program: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"unix://{self.folder / 'socket'}"

    @property
    def pid(self) -> int:
        """Its process; 0 when it does not run."""
        return self.process.pid if self.process else 0

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        options = ["--port", "0", "--unixsocket", str(self.folder / "socket"), "--save", ""]
        self.process = subprocess.Popen(
            [self.program, *options, "--dir", str(self.folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def kill(self) -> None:
        """Kill -9: the messages that were in it are gone."""
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False


@contextmanager
def server() -> Iterator[RedisServer]:
    """Give a server for as long as the block lasts."""
    program = shutil.which("redis-server")
    if program is None:
        raise NoRedis("No Redis server to test with: install it (Debian: apt-get install redis-server).")
    made = RedisServer(Path(tempfile.mkdtemp(prefix="portal-redis-")), program)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(made.folder)
