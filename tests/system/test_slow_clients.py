"""Clients that wait, send slowly and do not read: everybody else is answered by a real web server all the while."""

import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import web
from tests.support.services import Http, Portal
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.system

HEAD = "GET /v4/experiments HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = "POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nusername="
RUNNING = f"/v4/experiments/a000/logs/{web.LOG}?format=json&offset=12"
LONG_LOG = "20261125_110000_create.log"
PEOPLE = (
    "import json, uuid; from autosubmit_portal.access.roles import Role; from tests.support import factories;"
    "names = [uuid.uuid4().hex for _ in range({})];"
    "people = [factories.create_user(Role.OPERATOR, username=name) for name in names];"
    "print(json.dumps([factories.create_token(person) for person in people]))"
)


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    made = web.serve(tmp_path_factory.mktemp("web"), static_files)
    (logs,) = (made.home / "store").rglob("ASLOGS")
    with (logs / LONG_LOG).open("wb") as file:
        file.truncate(200_000_000)
    os.utime(logs / web.LOG, (time.time() + 3600, time.time() + 3600))  # as if it were still written
    yield made
    made.tear_down()


@pytest.fixture
def other(server: Portal) -> Http:
    """Somebody else, who has no patience."""
    return Http(server.url, server.credentials.token, timeout=PATIENCE)


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for one in made:
        one.close()


def send(server: Portal, text: str, sockets: list[socket.socket]) -> socket.socket:
    """Send a text and read nothing."""
    made = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    sockets.append(made)
    made.sendall(text.encode())
    return made


def require_answers(other: Http) -> None:
    """Look, change something and ask for the health, as others do."""
    assert other.get("/healthz").status in (200, 503)
    assert other.get("/v4/experiments/a000").status == 200
    assert other.post("/v4/experiments/a000?action=stop&dry_run=true").status in (200, 409)


def tokens(server: Portal, number: int) -> list[str]:
    found: list[str] = json.loads(server.manage("shell", "--no-imports", "-c", PEOPLE.format(number)).splitlines()[-1])
    return found


def test_unfinished_heads_and_bodies_stop_nobody(server: Portal, other: Http, sockets: list[socket.socket]) -> None:
    for _ in range(50):
        send(server, HEAD, sockets)
        send(server, BODY, sockets)
    require_answers(other)


def test_an_unfinished_head_is_ended_however_it_goes_on(server: Portal, sockets: list[socket.socket]) -> None:
    slow = send(server, HEAD, sockets)

    def is_ended() -> bool:
        try:
            slow.sendall(b"X-More: 1\r\n")
        except OSError:
            return True
        return False

    wait_for(is_ended)


def test_readers_that_do_not_read_stop_nobody(server: Portal, other: Http, sockets: list[socket.socket]) -> None:
    for token in tokens(server, 20):
        path = f"/v4/experiments/a000/logs/{LONG_LOG}"
        send(server, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n", sockets)
    require_answers(other)


def followed(server: Portal, token: str) -> Any:
    return Http(server.url, token).get(RUNNING, Prefer="wait=20")


def test_those_who_wait_stop_nobody_and_are_told_when_there_is_no_place(server: Portal, other: Http) -> None:
    with ThreadPoolExecutor(30) as pool:
        asked: list[Future[Any]] = [
            pool.submit(followed, server, token) for token in tokens(server, 10) for _ in range(3)
        ]
        wait_for(lambda: sum(answer.done() for answer in asked) >= 10)
        require_answers(other)
        answers = [answer.result() for answer in asked]
    applied = [answer.headers["Preference-Applied"] for answer in answers]
    assert applied.count("wait=20") in range(1, 30)
    early = next(answer for answer in answers if answer.headers["Preference-Applied"] == "wait=0")
    assert (early.status, early.headers["Retry-After"]) == (200, "5")
