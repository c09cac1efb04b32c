"""A gateway's end and an agent's end that both keep to the rules."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

import pytest

from autosubmit_portal.agent.protocol import (
    Answer,
    Busy,
    Cancelled,
    Client,
    Closed,
    Connection,
    Data,
    Event,
    Failure,
    Hello,
    ProtocolError,
    Request,
    Server,
    limits,
)
from autosubmit_portal.agent.protocol.versions import Versions
from tests.agent.protocol.pairs import Pair, make_pair
from tests.support import fuzz

T = TypeVar("T")


def ask(pair: Pair, name: str = "look") -> int:
    channel = pair.client.request(name, {}, 0)
    pair.pass_on()
    return channel


def reason_of(connection: Connection) -> str:
    assert connection.is_closed
    return connection.closed_because


def test_both_sides_say_hello_at_once_whoever_opens_the_stream() -> None:
    pair = make_pair()
    assert pair.at_client == [Hello((1, 0), {"machine": "m"})]
    assert pair.at_server == [Hello((1, 0), {"portal": "p"})]


def test_a_request_gets_its_answer() -> None:
    pair = make_pair()
    channel = pair.client.request("look", {"key": "k"}, 0)
    pair.pass_on()
    assert pair.at_server[1:] == [Request(channel, "look", {"key": "k"})]
    pair.server.answer(channel, {"state": "alive"})
    pair.pass_on()
    assert pair.at_client[1:] == [Answer(channel, {"state": "alive"})]


def test_a_request_that_fails_says_why() -> None:
    pair = make_pair()
    channel = ask(pair)
    pair.server.fail(channel, "failed", "no room \0\ud800 " + "x" * 1000)
    pair.pass_on()
    (failure,) = pair.at_client[1:]
    assert isinstance(failure, Failure)
    assert (failure.code, failure.reason[:12], len(failure.reason)) == ("failed", "no room ?? x", 500)


def test_a_long_message_arrives_whole() -> None:
    pair = make_pair()
    names = [f"a000_{number}_SIM" for number in range(10_000)]
    channel = pair.client.request("start", {"words": names}, 0)
    pair.pass_on()
    assert pair.at_server[1:] == [Request(channel, "start", {"words": names})]


def test_a_message_that_is_too_long_is_refused_where_it_is_made() -> None:
    pair = make_pair()
    with pytest.raises(ProtocolError, match="bytes"):
        pair.client.request("start", {"words": "x" * limits.MOST_MESSAGE_BYTES}, 0)
    assert ask(pair)
    assert not pair.client.is_closed


def test_bytes_arrive_before_their_answer_in_order() -> None:
    pair = make_pair()
    channel = ask(pair)
    sent = Random(1).randbytes(200_000)
    pair.server.send_data(channel, sent)
    pair.server.answer(channel, {})
    pair.pass_on()
    *pieces, answer = pair.at_client[1:]
    assert answer == Answer(channel, {})
    assert b"".join(piece.data for piece in pieces if isinstance(piece, Data)) == sent


def test_a_slow_reader_stops_only_itself() -> None:
    pair = make_pair()
    slow, quick = ask(pair), ask(pair)
    received = 0
    for _ in range(20):
        for channel in (slow, quick):
            pair.server.send_data(channel, b"x" * min(50_000, pair.server.credit(channel)))
        pair.pass_on()
        for event in pair.at_client:
            if isinstance(event, Data) and event.channel == quick:
                received += len(event.data)
                pair.client.consume(quick, len(event.data))
        pair.at_client.clear()
        pair.pass_on()
    assert pair.server.credit(slow) == 0
    assert received == 20 * 50_000


def test_a_slow_reader_that_reads_on_gets_the_rest() -> None:
    pair = make_pair()
    channel = ask(pair)
    pair.server.send_data(channel, b"x" * pair.server.credit(channel))
    pair.pass_on()
    pair.client.consume(channel, limits.USUAL_CREDIT)
    pair.pass_on()
    assert pair.server.credit(channel) == limits.USUAL_CREDIT


def test_an_agent_cannot_send_more_than_it_has_credit_for() -> None:
    pair = make_pair()
    channel = ask(pair)
    with pytest.raises(ValueError, match="credit"):
        pair.server.send_data(channel, b"x" * (limits.USUAL_CREDIT + 1))


def test_end_overtakes_what_waits_to_be_sent() -> None:
    pair = make_pair()
    pair.client.request("start", {"words": ["x"] * 40_000}, 0)
    end = pair.client.request("end", {}, 0)
    first = pair.server.receive(pair.client.take_bytes(1), 0)
    assert first == [Request(end, "end", {})]


def test_the_answer_to_end_overtakes_the_bytes_of_others() -> None:
    pair = make_pair()
    look, end = ask(pair), ask(pair, "end")
    pair.server.send_data(look, b"x" * limits.USUAL_CREDIT)
    pair.server.answer(end, {})
    assert pair.client.receive(pair.server.take_bytes(1), 0) == [Answer(end, {})]


def test_a_cancelled_request_still_ends_once() -> None:
    pair = make_pair()
    channel = ask(pair)
    pair.client.cancel(channel)
    pair.pass_on()
    assert pair.at_server[-1] == Cancelled(channel)
    pair.server.fail(channel, "cancelled", "Nobody waits.")
    pair.pass_on()
    assert pair.at_client[1:] == [Failure(channel, "cancelled", "Nobody waits.")]
    with pytest.raises(ValueError, match="answered"):
        pair.server.answer(channel, {})


def test_cancelling_what_has_just_been_answered_does_no_harm() -> None:
    pair = make_pair()
    channel = ask(pair)
    pair.server.answer(channel, {})
    pair.client.cancel(channel)
    pair.client.consume(channel, limits.USUAL_CREDIT)
    pair.pass_on()
    assert pair.at_client[1:] == [Answer(channel, {})]
    assert (pair.client.is_closed, pair.server.is_closed) == (False, False)


def test_a_gateway_asks_no_more_than_is_taken_at_once() -> None:
    pair = make_pair()
    channels = [pair.client.request("look", {}, 0) for _ in range(limits.MOST_REQUESTS)]
    with pytest.raises(Busy):
        pair.client.request("look", {}, 0)
    pair.pass_on()
    pair.server.answer(channels[0], {})
    pair.pass_on()
    assert ask(pair)


def test_a_command_can_be_ended_though_many_wait_for_news() -> None:
    pair = make_pair()
    for _ in range(limits.MOST_REQUESTS):
        pair.client.request("look", {}, 0)
    end = ask(pair, "end")
    assert pair.at_server[1] == Request(end, "end", {})


def test_a_gateway_asks_no_more_than_is_taken_in_a_second() -> None:
    pair = make_pair()
    for _ in range(limits.REQUESTS_AT_ONCE):
        pair.server.answer(ask(pair), {})
        pair.pass_on()
    with pytest.raises(Busy):
        ask(pair)
    assert pair.client.request("look", {}, now=1)


def test_nothing_is_asked_before_the_hello() -> None:
    with pytest.raises(Busy):
        Client({}, 0).request("look", {}, 0)


def test_each_side_beats_while_it_has_nothing_to_say() -> None:
    pair = make_pair()
    for now in range(600):
        for side in (pair.client, pair.server):
            assert side.tick(now) == []
        pair.pass_on(now)
    assert len(pair.at_client) == len(pair.at_server) == 1


@pytest.mark.parametrize("make", [Client, Server])
def test_a_side_that_hears_nothing_closes(make: Callable[..., Connection]) -> None:
    pair = make_pair()
    side = pair.client if make is Client else pair.server
    assert side.tick(limits.SILENCE_SECONDS) == []
    (closed,) = side.tick(limits.SILENCE_SECONDS + 1)
    assert closed == Closed("The other side has said nothing for 20 s.")


def test_a_side_that_never_says_hello_is_cut_off_with_what_it_said() -> None:
    client = Client({}, 0)
    client.receive(b"ssh: connect to host", 59)
    (closed,) = client.tick(61)
    assert isinstance(closed, Closed)
    assert "'ss" in closed.reason


def test_who_closes_tells_why() -> None:
    pair = make_pair()
    pair.client.close("The gateway ends.")
    pair.pass_on()
    assert reason_of(pair.server) == "The other side closed: The gateway ends."


def test_a_stream_that_ends_closes() -> None:
    client = make_pair().client
    assert client.receive_end() == [Closed("The stream ended.")]
    assert client.receive_end() == []


@pytest.mark.parametrize("greeting", [b"", b"Welcome!\n", b"\x00\xffautosubmit", b"x" * 60_000])
def test_what_a_shell_prints_before_is_skipped(greeting: bytes) -> None:
    client, server = Client({}, 0), Server({"a": 1}, 0)
    stream = greeting + server.take_bytes()
    events = [event for byte in stream for event in client.receive(bytes([byte]), 0)]
    assert events == [Hello((1, 0), {"a": 1})]


def test_a_shell_that_never_stops_printing_is_cut_off() -> None:
    client = Client({}, 0)
    for _ in range(70):
        client.receive(b"y\n" * 500, 0)
    assert "no frame in the first 65536 bytes, only 'y\\ny" in reason_of(client)


def test_the_version_before_is_understood() -> None:
    pair = make_pair(theirs=Versions((1, 0), (2, 3)))
    assert pair.client.version == pair.server.version == (1, 0)


def test_of_two_minor_versions_the_older_is_spoken() -> None:
    client, server = Client({}, 0, Versions((1, 0), (2, 1))), Server({}, 0, Versions((1, 0), (2, 3)))
    Pair(client, server).pass_on()
    assert client.version == server.version == (2, 1)


def test_an_agent_from_the_far_future_is_told_what_to_do() -> None:
    pair = make_pair(theirs=Versions((7, 0), (8, 2)))
    for side in (pair.client, pair.server):
        assert "update the older of both" in reason_of(side)
    assert "it speaks protocol 7.0 to 8.2 and we speak 1.0" in reason_of(pair.client)


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_everything_arrives_once_however_the_stream_is_cut(seed: int) -> None:
    random = Random(seed)
    pair = Pair(Client({}, 0), Server({}, 0))
    asked: dict[int, str] = {}
    heard: dict[int, str] = {}
    sent: dict[int, bytes] = {}
    got: dict[int, bytes] = {}
    for step in range(400):
        if pair.client.version and len(asked) - len(got) < limits.MOST_REQUESTS:
            text = "é" * random.randrange(90_000)
            asked[pair.client.request("look", {"text": text}, step)] = text
        _pass_pieces(random, pair.client, pair.server, pair.at_server)
        for request in drain(pair.at_server, Request):
            heard[request.channel] = request.arguments["text"]
            sent[request.channel] = random.randbytes(random.randrange(100_000))
            pair.server.send_data(request.channel, sent[request.channel])
            pair.server.answer(request.channel, {})
        _pass_pieces(random, pair.server, pair.client, pair.at_client)
        for data in drain(pair.at_client, Data):
            got[data.channel] = got.get(data.channel, b"") + data.data
    pair.pass_on()
    for data in drain(pair.at_client, Data):
        got[data.channel] = got.get(data.channel, b"") + data.data
    assert len(asked) > 100
    assert heard.items() <= asked.items()
    assert {channel: data for channel, data in sent.items() if data} == got


def drain(events: list[Event], kind: type[T]) -> list[T]:
    """Return the events of one kind, and empty the list."""
    found: list[T] = [event for event in events if isinstance(event, kind)]
    events.clear()
    return found


def _pass_pieces(random: Random, source: Connection, sink: Connection, events: list[Event]) -> None:
    """Pass on some of what waits, in pieces of any size."""
    data = source.take_bytes(random.randrange(1, 200_000))
    while data:
        size = random.choice((1, 7, 100)) if len(data) < 1_000 else random.choice((1_000, 70_000))
        events += sink.receive(data[:size], 0)
        data = data[size:]
