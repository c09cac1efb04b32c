"""Where agents call: who shows the token of a host is let in; who means harm gets nothing and holds up nobody."""

import json
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autosubmit_portal.gateway import sockets
from autosubmit_portal.gateway.entrance import HEAD_SECONDS, MOST_HANDSHAKES, Entrance
from autosubmit_portal.gateway.hosts import BadHostsFileError, read_hosts
from tests.agent.agents import PORTAL
from tests.gateway.callers import BEARER, HOSTS, OTHER_TOKEN, TOKEN, Callers, is_closed, make_frame, make_head
from tests.gateway.gateways import RunningGateway, gateway
from tests.support import fuzz
from tests.support.services import free_port
from tests.support.waiting import PATIENCE, wait_for

# Before the token of a host is shown, wrong ones are looked at so often.
FLOOD = 200


@pytest.fixture
def callers() -> Iterator[Callers]:
    """Lend those who call."""
    made = Callers(f"127.0.0.1:{free_port()}")
    yield made
    made.close()


@pytest.fixture
def here(tmp_path: Path, callers: Callers) -> Iterator[RunningGateway]:
    """Lend a gateway that two hosts may call."""
    with gateway(tmp_path, HOSTS, listen=callers.listen) as made:
        yield made


def test_who_shows_the_token_of_a_host_becomes_its_channel(here: RunningGateway, callers: Callers) -> None:
    assert here.describe()["reason"] == "The host has not opened its channel: Its agent has not called yet."
    callers.become_agent(here).close()
    assert wait_for(lambda: here.describe()["reason"]).startswith("The stream ended")


REFUSED: dict[str, tuple[int, dict[str, str]]] = {
    "no token": (401, {"Authorization": ""}),
    "a wrong token": (401, {"Authorization": f"Bearer {TOKEN[:-1]}"}),
    "no bearer": (401, {"Authorization": f"Basic {TOKEN}"}),
    "the digest": (401, {"Authorization": f"Bearer {HOSTS['here']['tokens'][0]}"}),
    "two tokens": (401, {"Authorization": f"{BEARER}\r\nAuthorization: {BEARER}"}),
    "the token of another host": (403, {"Authorization": f"Bearer {OTHER_TOKEN}"}),
    "a host that nobody knows": (403, {"path": "/x/agent/nowhere"}),
    "no host": (403, {"path": "/"}),
    "the token in the address": (400, {"path": f"/x/agent/here?token={TOKEN}", "Authorization": ""}),
    "a page in a browser": (403, {"Origin": "https://portal.example.org"}),
    "no WebSocket": (426, {"Upgrade": "", "Connection": ""}),
    "another version": (400, {"Sec_WebSocket_Version": "12"}),
}


def test_nobody_else_is_let_in(here: RunningGateway, callers: Callers) -> None:
    for what, (status, changes) in REFUSED.items():
        refused = callers.call(**changes)
        assert (what, refused.status) == (what, status)
        assert is_closed(refused.socket)
    assert not here.describe()["is_connected"]
    assert callers.call().status == 101


def test_why_somebody_was_not_let_in_is_told_at_the_host(here: RunningGateway, callers: Callers) -> None:
    callers.call(Authorization=f"Bearer {OTHER_TOKEN}")
    assert "called as this host with the token of another host" in here.describe()["reason"]
    assert "agent --token" in here.describe()["remedy"]
    assert "not called yet" in here.describe("there")["reason"]


def test_many_wrong_tokens_fill_no_log_and_keep_nobody_out(tmp_path: Path, callers: Callers) -> None:
    with (tmp_path / "log").open("w") as log, gateway(tmp_path, HOSTS, listen=callers.listen, stderr=log):
        statuses = [callers.call(Authorization=f"Bearer {TOKEN}x").status for _ in range(FLOOD)]
        assert set(statuses) == {401, 429}
        assert callers.call().status == 101
    told = (tmp_path / "log").read_text()
    assert len(told.splitlines()) == statuses.count(401)
    assert TOKEN not in told


def write_tokens(folder: Path, tokens: list[str]) -> None:
    """Write other digests into the file of hosts, at once."""
    file, new = folder / "hosts.json", folder / "hosts.new"
    told = json.loads(file.read_text())
    new.write_text(json.dumps(told | {"hosts": {"here": {"channel": "websocket", "tokens": tokens}}}))
    new.replace(file)


def test_a_revoked_token_closes_its_stream_and_opens_none(
    here: RunningGateway, tmp_path: Path, callers: Callers
) -> None:
    agent = callers.become_agent(here)
    write_tokens(tmp_path, HOSTS["there"]["tokens"])
    assert is_closed(agent)
    assert "Its token was revoked" in here.describe()["reason"]
    assert callers.call().status == 401
    assert callers.call(Authorization=f"Bearer {OTHER_TOKEN}").status == 101


def test_two_tokens_are_valid_while_one_takes_the_place_of_the_other(
    here: RunningGateway, tmp_path: Path, callers: Callers
) -> None:
    callers.become_agent(here)
    write_tokens(tmp_path, [*HOSTS["here"]["tokens"], *HOSTS["there"]["tokens"]])
    wait_for(lambda: callers.call(Authorization=f"Bearer {OTHER_TOKEN}").status == 409)
    assert here.describe()["is_connected"]


def test_a_second_agent_waits_while_the_first_is_there(here: RunningGateway, callers: Callers) -> None:
    agent = callers.become_agent(here)
    for _ in range(3):
        assert callers.call().status == 409
        agent.sendall(make_frame(b"", 0x89))
        read_until_pong(agent)
    assert here.describe()["is_connected"]


def read_until_pong(connected: socket.socket) -> None:
    """Read what the gateway sends up to its answer to a ping."""
    read = b""
    while b"\x8a\x00" not in read:
        read += connected.recv(1 << 16)


def test_an_agent_that_does_not_answer_makes_room(here: RunningGateway, callers: Callers) -> None:
    agent = callers.become_agent(here)
    second = wait_for(callers.call, is_enough=lambda made: made.status == 101)
    assert is_closed(agent)
    assert is_open(second.socket)


FRAMES = {
    "no mask": (b"\x82\x05hello", "no WebSocket frame: incorrect masking"),
    "10 GB": (b"\x82\xff" + (10 * 2**30).to_bytes(8, "big") + bytes(4), "a message that is too long"),
    "a part of a message": (make_frame(b"x", 0x02), "a message that is not one binary frame"),
    "text": (make_frame(b"x", 0x81), "a message that is not one binary frame"),
    "compressed": (make_frame(b"x", 0xC2), "no WebSocket frame: reserved bits must be 0"),
    "an unknown kind": (make_frame(b"x", 0x83), "no WebSocket frame: invalid opcode"),
    "a long ping": (make_frame(b"x" * 126, 0x89), "no WebSocket frame: control frame too long"),
}


def test_an_agent_that_breaks_the_rules_of_frames_is_cut_off(here: RunningGateway, callers: Callers) -> None:
    for what, (sent, reason) in FRAMES.items():
        agent = callers.become_agent(here)
        agent.sendall(sent)
        assert is_closed(agent), what
        assert f"The other side sent {reason}" in here.describe()["reason"]


def test_who_asks_for_answers_and_does_not_read_them_is_cut_off(here: RunningGateway, callers: Callers) -> None:
    agent = callers.become_agent(here)
    agent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that what is not read is soon too much
    pings = 1000 * make_frame(b"x" * 125, 0x89)
    with suppress(ConnectionError):
        while True:
            agent.sendall(pings)
    assert "asks for answers that it does not take" in here.describe()["reason"]


def test_a_thousand_connections_that_say_nothing_keep_nobody_out(here: RunningGateway, callers: Callers) -> None:
    for _ in range(1000 // MOST_HANDSHAKES):
        callers.close()
        oldest, *_ = [callers.connect() for _ in range(MOST_HANDSHAKES)]
        callers.connect()
        assert is_closed(oldest)
    assert callers.call().status == 101
    assert not here.describe("there")["is_connected"]


def is_open(connected: socket.socket) -> bool:
    """Answer whether the other side has not closed the connection yet."""
    connected.setblocking(False)
    try:
        return bool(connected.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def turn(entrance: Entrance, now: float) -> None:
    """Let it do what there is to do, at a time."""
    poll = select.poll()
    entrance.register(poll)
    entrance.turn({descriptor for descriptor, _ in poll.poll(0)}, {}, now)


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "agents"
    with sockets.listen_at(str(place)) as listener, sockets.connect(place, PATIENCE) as slow:
        entrance = Entrance(listener, 0)
        for now in range(int(HEAD_SECONDS) + 1):
            slow.sendall(b"G")
            turn(entrance, now)
            assert is_open(slow)
        turn(entrance, HEAD_SECONDS + 1)
        assert not is_open(slow)


def test_a_head_that_is_too_long_is_not_read(here: RunningGateway, callers: Callers) -> None:
    many = {f"X-{number}": "x" * 1000 for number in range(100)}
    assert callers.send(make_head(**many)).status == 0
    assert callers.send(b"GET /" + b"x" * 100_000).status == 0
    assert callers.call().status == 101
    assert not here.describe("there")["is_connected"]


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_a_gateway_survives_whatever_a_caller_sends(here: RunningGateway, callers: Callers, seed: int) -> None:
    random = Random(seed)
    for _ in range(30):
        head = bytearray(make_head())
        for _ in range(random.randrange(1, 20)):
            head[random.randrange(len(head))] = random.randrange(256)
        connected = callers.connect()
        connected.sendall(head)
        connected.close()
    for _ in range(30):
        agent = callers.become_agent(here)
        agent.sendall(make_frame(b"") + random.randbytes(random.randrange(1, 300)))
        agent.close()
        wait_for(lambda: not here.describe()["is_connected"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"listen": "8765"}, "“listen” must be HOST:PORT"),
        ({"listen": ""}, "“listen” must say where agents call"),
        ({"hosts": {"a": {"channel": "websocket", "tokens": ["secret"]}}}, "“tokens” must be SHA-256 digests"),
        ({"hosts": {"a": {"channel": "websocket", "tokens": [], "agent": "/a"}}}, "'agent' is unknown"),
        ({"hosts": {"a": {"channel": "websocket"}}}, "“tokens” must be a list of texts"),
    ],
)
def test_a_file_of_hosts_that_is_wrong_says_why(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    told = {"portal": PORTAL, "reading": "r", "acting": "a", "listen": "127.0.0.1:1", "hosts": HOSTS}
    (tmp_path / "hosts.json").write_text(json.dumps(told | changes))
    with pytest.raises(BadHostsFileError, match=reason):
        read_hosts(tmp_path / "hosts.json")


def test_a_gateway_that_cannot_listen_for_agents_displaces_nobody(here: RunningGateway, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autosubmit_portal.gateway", str(tmp_path / "hosts.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, "cannot be listened at" in done.stderr) == (1, True)
    assert not here.describe()["is_connected"]
