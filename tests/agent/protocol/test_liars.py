"""A connection whose other side lies: it is cut off with the rule that it broke, and nothing else happens."""

import tracemalloc
from collections.abc import Callable
from random import Random

import pytest

from autosubmit_portal.agent.protocol import Client, Closed, Connection, Server, limits
from autosubmit_portal.agent.protocol.frames import HEADER, MAGIC, MOST_PAYLOAD_BYTES, Kind, make_frame
from autosubmit_portal.agent.protocol.strict_json import Message
from tests.agent.protocol.pairs import HELLO, greet, make_client, make_server, message, request
from tests.support import fuzz

Make = Callable[[], Connection]


def cut_off(connection: Connection, data: bytes) -> str:
    """Return why a connection closed when it received this."""
    *_, closed = connection.receive(data, 0)
    assert isinstance(closed, Closed)
    assert connection.closed_because == closed.reason
    assert connection.receive(data, 0) == []
    return closed.reason


@pytest.mark.parametrize("make", [make_client, make_server])
@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (HEADER.pack(2**32 - 1, 1, 1), "a frame of 4294967295 bytes; at most 65527 are taken"),
        (HEADER.pack(10, 1, 9), "unknown kind 9"),
        (HEADER.pack(0, 1, 3), "an empty frame"),
        (make_frame(0, Kind.DATA, b"x"), "nobody made|only an agent sends"),
        (make_frame(0, Kind.MESSAGE, b"{"), "not JSON"),
        (make_frame(0, Kind.MESSAGE, b"{}"), "“type” must be a text"),
        (message(0, {"type": "party"}), "'party' about the connection, which is unknown"),
        (message(0, HELLO), "'hello' about the connection, which is unknown"),
        (message(1, {"type": "party"}), "nobody made|unknown"),
        (make_frame(1, Kind.PART, b"x") + make_frame(2, Kind.PART, b"x"), "two messages in parts at once"),
        (make_frame(1, Kind.PART, b"x" * MOST_PAYLOAD_BYTES) * 17, "more than 1048576 bytes"),
        (message(0, {"type": "heartbeat"}) * 10_001, "more than 2000 messages a second"),
        (make_frame(1, Kind.PART, b" ") * 10_001, "more than 2000 messages a second"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_who_breaks_a_rule_is_cut_off_and_told_which(make: Make, data: bytes, rule: str) -> None:
    connection = make()
    reason = cut_off(connection, data)
    assert any(part in reason for part in rule.split("|"))
    assert connection.take_bytes(10**9).endswith(message(0, {"type": "close", "reason": reason}))


@pytest.mark.parametrize("make", [Client, Server])
@pytest.mark.parametrize(
    ("first", "rule"),
    [
        ({"type": "heartbeat"}, "before its hello"),
        (HELLO | {"newest": "1.0"}, "“newest” must be two numbers"),
        (HELLO | {"newest": [True, 0]}, "“newest” must be two numbers"),
        (HELLO | {"newest": [10**9, 0]}, "“newest” must be two numbers"),
        (HELLO | {"facts": []}, "“facts” must be an object"),
        (HELLO | {"facts": {"a": "x" * 10_000}}, "a hello of more than 8192 bytes"),
        (HELLO | {"oldest": [5, 0], "newest": [6, 0]}, "No common language"),
        (HELLO | {"oldest": [0, 1], "newest": [0, 9]}, "No common language"),
    ],
)
def test_a_hello_that_is_none_is_refused(
    make: Callable[[Message, float], Connection], first: Message, rule: str
) -> None:
    assert rule in cut_off(make({}, 0), MAGIC + message(0, first))


@pytest.mark.parametrize("frame", [request(1), make_frame(1, Kind.DATA, b"x")])
def test_nothing_is_taken_before_the_hello(frame: bytes) -> None:
    assert "before its hello" in cut_off(Server({}, 0), MAGIC + frame)


def test_an_agent_that_answers_what_nobody_asked_is_cut_off() -> None:
    assert "request 5, which nobody made" in cut_off(make_client(), message(5, {"type": "answer", "value": {}}))


def test_an_agent_that_answers_twice_is_cut_off() -> None:
    client = make_client()
    answer = message(client.request("look", {}, 0), {"type": "answer", "value": {}})
    assert "which nobody made" in cut_off(client, answer * 2)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"type": "answer"}, "“value” must be an object"),
        ({"type": "failure", "code": "x"}, "“reason” must be a text"),
        ({"type": "failure", "code": "x", "reason": "x" * 501}, "at most 500 characters"),
        ({"type": "request", "name": "look", "arguments": {}, "credit": 1}, "'request' as an answer"),
    ],
)
def test_an_answer_that_is_none_is_refused(value: Message, rule: str) -> None:
    client = make_client()
    assert rule in cut_off(client, message(client.request("look", {}, 0), value))


def test_an_agent_that_sends_more_than_it_has_credit_for_is_cut_off() -> None:
    client = make_client()
    frame = make_frame(client.request("look", {}, 0), Kind.DATA, b"x" * MOST_PAYLOAD_BYTES)
    assert "more bytes than it has credit for" in cut_off(client, frame * 5)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (request(1) * 2, "request 1 twice"),
        (b"".join(map(request, range(1, 74))), "more than 72 requests at once"),
        (request(1, credit=limits.MOST_CREDIT + 1), "“credit” must be a whole number"),
        (request(1, credit=-1), "“credit” must be a whole number"),
        (
            request(1) + message(1, {"type": "credit", "bytes": limits.MOST_CREDIT}),
            "credit for more than 1048576 bytes",
        ),
        (request(1) + message(1, {"type": "credit", "bytes": True}), "“bytes” must be a whole number"),
        (make_frame(1, Kind.DATA, b"x"), "only an agent sends"),
    ],
)
def test_a_gateway_that_breaks_a_rule_is_cut_off(data: bytes, rule: str) -> None:
    assert rule in cut_off(make_server(), data)


def test_ten_gigabytes_that_are_announced_take_no_room() -> None:
    client = make_client()
    tracemalloc.start()
    client.receive(HEADER.pack(MOST_PAYLOAD_BYTES, 1, Kind.DATA), 0)
    cut_off(make_client(), HEADER.pack(2**32 - 1, 1, Kind.DATA))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


@pytest.mark.parametrize("make", [Client, Server])
@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_random_bytes_are_cut_off_or_waited_for(make: Callable[[Message, float], Connection], seed: int) -> None:
    random = Random(seed)
    for _ in range(200):
        connection = make({}, 0)
        connection.receive(MAGIC[: random.choice((0, 5, 20))] + random.randbytes(random.randrange(5_000)), 0)
        assert connection.closed_because.isprintable()


@pytest.mark.parametrize("make", [make_client, make_server])
@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_mutated_frames_are_cut_off_or_understood(make: Make, seed: int) -> None:
    random = Random(seed)
    for _ in range(300):
        connection = make()
        if isinstance(connection, Client):
            connection.request("look", {}, 0)
        frames = [_make_any_frame(random) for _ in range(random.randrange(1, 20))]
        stream = b"".join(frames)
        if random.random() < 0.7:
            stream = random.choice((fuzz.cut, fuzz.flipped, fuzz.spliced))(random, stream, b"".join(frames))
        events = connection.receive(stream, 0)
        closed = [event for event in events if isinstance(event, Closed)]
        assert len(closed) == connection.is_closed
        assert events[-1:] == closed or not closed
        assert connection.closed_because.isprintable()


def _make_any_frame(random: Random) -> bytes:
    kinds: list[Message] = [
        HELLO,
        {"type": "heartbeat"},
        {"type": "close", "reason": "bye"},
        {"type": "request", "name": "look", "arguments": {"key": "k"}, "credit": 1000},
        {"type": "credit", "bytes": 5},
        {"type": "cancel"},
        {"type": "answer", "value": {"a": [1, None]}},
        {"type": "failure", "code": "failed", "reason": "so"},
    ]
    channel = random.choice((0, 1, 1, 1, 2, 2**32 - 1))
    if random.random() < 0.3:
        return make_frame(channel, random.choice((Kind.PART, Kind.DATA)), random.randbytes(20))
    return message(channel, random.choice(kinds))


def test_who_was_greeted_twice_by_a_shell_is_still_understood() -> None:
    """MAGIC counts once: behind it, it would be a frame that is too long."""
    assert "a frame of" in cut_off(make_client(), MAGIC)


def test_a_connection_that_is_cut_off_sends_nothing_but_why() -> None:
    server = make_server()
    server.receive(request(1), 0)
    server.send_data(1, b"x" * 100_000)
    greet(server)
    assert server.bytes_to_send < 1_000
