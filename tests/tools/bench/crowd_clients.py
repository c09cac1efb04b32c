"""The clients of the part `load`, in a process of their own: their processor time is none of the portal's.

It reads a Crowd as a line of JSON, says when all have begun, and ends when its input does.
"""

import http.client
import json
import random
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import process_time
from urllib.parse import urlsplit

from tests.support.services import Http
from tests.support.waiting import PATIENCE

TAB_SECONDS, AGAIN_SECONDS = 3.0, 5.0
STAMP = re.compile(rb'data-stamp="(\w+)"')


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who does what: a tab for each session, and so many of the others; `tokens` are shared by turns."""

    url: str
    sessions: list[str]
    tokens: list[str]
    expids: list[str]
    short_log: str
    long_log: str
    waits: int
    followers: int
    heads: int
    readers: int


@dataclass(slots=True)
class Clients:
    """All of them at work, until it is over; `ticks` counts what tabs were answered."""

    crowd: Crowd
    is_over: threading.Event = field(default_factory=threading.Event)
    ticks: Counter[int] = field(default_factory=Counter)
    slow: list[socket.socket] = field(default_factory=list)
    opened: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def begin(self) -> None:
        """Begin everything, and wait until all tabs are open: what that costs is no part of the load."""
        for work in self._work():
            threading.Thread(target=_until_it_ends, args=(work,), daemon=True).start()
        self.slow = [self._send("GET / HTTP/1.1\r\n") for _ in range(self.crowd.heads)]
        path = f"/v4/experiments/{self.crowd.expids[0]}/logs/{self.crowd.long_log}"
        for number in range(self.crowd.readers):
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._token(number)}\r\n\r\n"
            self.slow.append(self._send(head))
        for _ in self.crowd.sessions:
            assert self.opened.acquire(timeout=PATIENCE), "A tab was not opened."

    def _work(self) -> Iterator[Callable[[], None]]:
        for number in range(len(self.crowd.sessions)):
            yield lambda n=number: self._look(n)  # type: ignore[misc]
        for number in range(self.crowd.waits):
            yield lambda n=number: self._wait(n)  # type: ignore[misc]
        for number in range(self.crowd.followers):
            yield lambda n=number: self._follow(n)  # type: ignore[misc]

    def _token(self, number: int) -> str:
        return self.crowd.tokens[number % len(self.crowd.tokens)]

    def _look(self, number: int) -> None:
        """Do what live.js does in a tab that somebody is at: open a page, then ask whether it has changed."""
        connection = http.client.HTTPConnection(urlsplit(self.crowd.url).netloc, timeout=PATIENCE)
        address = f"/experiments/~{number + 1}/"
        cookie = {"Cookie": f"sessionid={self.crowd.sessions[number]}"}
        self.is_over.wait(TAB_SECONDS * number / len(self.crowd.sessions))
        stamp, (status, body) = "", _asked(connection, address, cookie)
        self.opened.release()
        while not self.is_over.wait(TAB_SECONDS * random.uniform(0.85, 1.15)):
            stamp = STAMP.findall(body)[0].decode() if status == 200 else stamp
            headers = cookie | {"HX-Request": "true", "Portal-Stamp": stamp}
            status, body = _asked(connection, address, headers)
            self.ticks[status] += 1

    def _wait(self, number: int) -> None:
        """Wait for the end of an action; without a place, look again after a while."""
        api = Http(self.crowd.url, self._token(number))
        path = f"/v4/experiments/{self.crowd.expids[number]}?action=generate"
        asked = api.post(path, {}, Prefer="wait=60")
        while not self.is_over.wait(AGAIN_SECONDS):
            api.get(asked.headers["Location"])

    def _follow(self, number: int) -> None:
        """Follow a log that does not grow."""
        path = f"/v4/experiments/{self.crowd.expids[0]}/logs/{self.crowd.short_log}?format=json&offset=6"
        while not self.is_over.is_set():
            answer = Http(self.crowd.url, self._token(number)).get(path, Prefer="wait=20")
            self.is_over.wait(float(answer.headers.get("Retry-After", 0)))

    def _send(self, text: str) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", urlsplit(self.crowd.url).port or 80))
        made.sendall(text.encode())
        return made


def _asked(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _until_it_ends(work: Callable[[], None]) -> None:
    with suppress(OSError, http.client.HTTPException):  # the portal is killed under them in the end
        work()


def main() -> None:
    """Be the crowd; in the end say what the tabs were answered, and the processor time of it all."""
    clients = Clients(Crowd(**json.loads(sys.stdin.readline())))
    clients.begin()
    print("begun", flush=True)
    used = process_time()
    sys.stdin.readline()
    print(json.dumps({"ticks": clients.ticks, "seconds": process_time() - used}), flush=True)


if __name__ == "__main__":
    main()
