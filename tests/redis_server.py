"""A real Redis: a private one from the Debian package, on a socket and in memory only."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.waiting import wait_for


class NoRedis(Exception):
    """There is no Redis to test with; the message says what to install."""


@dataclass(slots=True)
class RedisServer:
    """A server in a folder of its own; killed, it forgets everything, and may be started again."""

    program: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """The address for PORTAL_BROKER_URL, the same after another start."""
        return f"unix://{self.folder / 'socket'}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        where = ["--port", "0", "--unixsocket", str(self.folder / "socket"), "--dir", str(self.folder)]
        command = [self.program, *where, "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(self._answers)

    def kill(self) -> None:
        """Kill -9 it."""
        if self.process:
            self.process.kill()
            self.process.wait()
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
    made = RedisServer(program, Path(tempfile.mkdtemp(prefix="portal-redis-")))
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(made.folder)
