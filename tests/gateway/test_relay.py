"""Bytes on their way from an agent through a gateway to a caller, in one process."""

from random import Random

from autosubmit_portal.agent.protocol import Answer, Data, Event, Failure, Request, limits
from autosubmit_portal.gateway.relay import Relay
from tests.agent.protocol.pairs import Pair, make_pair


class Way:
    """A caller, a gateway and an agent, with one request on its way."""

    def __init__(self) -> None:
        self.outer, self.inner = make_pair(), make_pair()
        asked = self.outer.client.request("look", {}, 0)
        passed = self.inner.client.request("look", {}, 0)
        self.relay = Relay(self.outer.server, asked, self.inner.client, passed, 0, 1)
        self.pass_on(self.outer)
        self.pass_on(self.inner)

    @staticmethod
    def pass_on(pair: Pair) -> list[Event]:
        pair.pass_on()
        events = list(pair.at_client)
        pair.at_client.clear()
        return events

    def turn(self) -> list[Event]:
        """Pass on what there is, as the loop of the gateway does; return what the caller gets."""
        for event in self.pass_on(self.inner):
            if isinstance(event, Data):
                self.relay.take_data(event.data)
            elif isinstance(event, (Answer, Failure)):
                self.relay.take_last(event)
        self.relay.pass_on()
        self.inner.pass_on()
        return self.pass_on(self.outer)


def test_more_than_the_agent_has_credit_for_arrives_whole_and_in_order() -> None:
    way, left, got = Way(), Random(1).randbytes(3_000_000), b""
    sent = left
    channel = way.relay.host_channel
    for _ in range(100):
        piece = left[: way.inner.server.credit(channel)]
        way.inner.server.send_data(channel, piece)
        left = left[len(piece) :]
        for event in way.turn():
            if isinstance(event, Data):
                got += event.data
                way.outer.client.consume(event.channel, len(event.data))
    way.inner.server.answer(channel, {"size": len(sent)})
    assert way.turn() == [Answer(way.relay.caller_channel, {"size": len(sent)})]
    assert got == sent


def test_a_caller_that_reads_nothing_stops_its_agent() -> None:
    way, sent = Way(), 0
    channel = way.relay.host_channel
    for _ in range(100):
        count = way.inner.server.credit(channel)
        way.inner.server.send_data(channel, b"x" * count)
        sent += count
        way.turn()
    assert way.inner.server.credit(channel) == 0
    # What the caller may get, and what the gateway holds.
    assert limits.USUAL_CREDIT <= sent <= 2 * limits.USUAL_CREDIT


def test_the_answer_waits_for_the_bytes_before_it() -> None:
    way = Way()
    channel = way.relay.host_channel
    for _ in range(2):
        way.inner.server.send_data(channel, b"x" * way.inner.server.credit(channel))
        way.turn()
    way.inner.server.answer(channel, {})
    assert not [event for event in way.turn() if isinstance(event, Answer)]
    way.outer.client.consume(way.relay.caller_channel, limits.USUAL_CREDIT)
    events = way.turn() + way.turn()
    assert isinstance(events[-1], Answer)


def test_an_agent_is_heard_out_though_its_caller_has_gone() -> None:
    way = Way()
    channel = way.relay.host_channel
    way.relay.leave()
    for _ in range(3):
        way.inner.server.send_data(channel, b"x" * way.inner.server.credit(channel))
        way.turn()
    assert way.inner.server.credit(channel)
    way.inner.server.fail(channel, "cancelled", "Nobody waits for it.")
    assert way.turn() == []


def test_an_answer_that_would_be_too_long_for_the_caller_fails() -> None:
    """`1E5` is three bytes, and seven when we write it."""
    way = Way()
    numbers = [100_000.0] * 49_000
    way.relay.take_last(Answer(way.relay.host_channel, {"numbers": numbers, "text": "x" * 900_000}))
    assert way.relay.pass_on()
    (failure,) = way.pass_on(way.outer)
    assert isinstance(failure, Failure)
    assert (failure.code, "bytes" in failure.reason) == ("invalid", True)


def test_a_request_that_was_relayed_is_the_one_that_was_made() -> None:
    way = Way()
    assert way.inner.at_server[1:] == [Request(way.relay.host_channel, "look", {})]
