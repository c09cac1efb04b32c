"""A lean HTTP client that asks one path over and over, on connections that are kept.

The servers share their cores with this client, so it must cost little: it sends bytes that were made once, parses
the head of the answer only, and throws the body away.
"""

import random
import socket
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

from tests.support.waiting import PATIENCE

TIMEOUT_SECONDS = PATIENCE
_PIECE = 1 << 18
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked: its name in the report, its address, and a token."""

    name: str
    url: str
    token: str


@dataclass(slots=True)
class Sample:
    """What one server answered to one path: times in ms, HTTP statuses, and the seconds that all of it took."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: "Sample") -> None:
        """Add a later sample of the same."""
        self.milliseconds += other.milliseconds
        self.statuses += other.statuses
        self.seconds += other.seconds

    @property
    def p50(self) -> float:
        """What half of the answers needed at most, in ms."""
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        """What 19 of 20 answers needed at most, in ms."""
        return percentile(self.milliseconds, 95)

    @property
    def per_second(self) -> float:
        """How many answers a second all clients got together."""
        return len(self.milliseconds) / self.seconds

    @property
    def failure(self) -> str:
        """What was answered instead of 200; blank if nothing was."""
        return ", ".join(f"HTTP {status}" for status in sorted(self.statuses) if status != 200)


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest of the values that `percent` % of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class Connection:
    """One kept connection to a server."""

    def __init__(self, server: Server) -> None:
        self.address = urlsplit(server.url).netloc
        self.token = server.token
        self.socket = self._connect()

    def _connect(self) -> socket.socket:
        host, _, port = self.address.partition(":")
        made = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def request(self, path: str, method: str = "GET", body: str = "") -> bytes:
        """Return what a request for a path sends; `body` is JSON."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.address}",
            "Accept: application/json",
            f"Authorization: Bearer {self.token}",
        ]
        if method != "GET":
            lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
        return "\r\n".join((*lines, "", body)).encode()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the body, chunks and all. Raises OSError when it breaks off."""
        self.socket.sendall(request)
        head, _, start = self._head().partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        body = self._body(start, fields)
        if fields.get(b"connection") == b"close":
            self.close()
            self.socket = self._connect()
        return int(head[9:12]), body

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def _head(self) -> bytes:
        received = self._receive()
        while b"\r\n\r\n" not in received:
            received += self._receive()
        return received

    def _body(self, start: bytes, fields: dict[bytes, bytes]) -> bytes:
        pieces, size = [start], len(start)
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            while not b"".join(pieces[-6:]).endswith(_LAST_CHUNK):
                pieces.append(self._receive())
        else:
            while size < int(fields.get(b"content-length", 0)):
                pieces.append(self._receive())
                size += len(pieces[-1])
        return b"".join(pieces)

    def _receive(self) -> bytes:
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise ConnectionResetError("The server closed the connection.")
        return piece


def take_turn(server: Server, path: str, *, clients: int, seconds: float) -> Sample:
    """Let clients ask, each the next time when it was answered, for some seconds and at least once each.

    `{number}` in a path is another number in each request.
    """
    gate = threading.Barrier(clients, timeout=TIMEOUT_SECONDS)
    with ThreadPoolExecutor(clients) as pool:
        samples = list(pool.map(lambda _: _client(server, path, gate, seconds), range(clients)))
    together = Sample()
    for sample in samples:
        together.add(sample)
    together.seconds = max(sample.seconds for sample in samples)
    return together


def _client(server: Server, path: str, gate: threading.Barrier, seconds: float) -> Sample:
    sample = Sample()
    connection = Connection(server)
    numbers = count(random.randrange(10**8, 10**9))
    gate.wait()
    began = now = time.perf_counter()
    while not sample.milliseconds or now < began + seconds:
        status, _ = connection.ask(connection.request(path.format(number=next(numbers))))
        then, now = now, time.perf_counter()
        sample.milliseconds.append((now - then) * 1000)
        sample.statuses[status] += 1
    connection.close()
    sample.seconds = now - began
    return sample
