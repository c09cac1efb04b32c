"""The gateway's end of a connection."""

from autosubmit_portal.agent.protocol import limits
from autosubmit_portal.agent.protocol.connection import URGENT, Connection
from autosubmit_portal.agent.protocol.errors import Busy, ProtocolError
from autosubmit_portal.agent.protocol.events import Answer, Data, Event, Failure
from autosubmit_portal.agent.protocol.fields import take_object, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.protocol.versions import OURS, Versions
from autosubmit_portal.sentences import say


class Client(Connection):
    """It asks."""

    def __init__(self, facts: Message, now: float, spoken: Versions = OURS) -> None:
        super().__init__(facts, now, spoken)
        self._requests = limits.Rate(limits.REQUESTS_PER_SECOND, limits.REQUESTS_AT_ONCE, now)
        self._last_channel = 0
        # What each request may still receive, and what of its bytes has been passed on without new credit.
        self._credit: dict[int, int] = {}
        self._consumed: dict[int, int] = {}

    def request(self, name: str, arguments: Message, now: float) -> int:
        """Ask for something; return the channel that the answer will have. Raises Busy."""
        if not self.version or self.is_closed:
            raise Busy(say("There is no connection."))
        is_urgent = name in URGENT
        most = limits.MOST_REQUESTS + (limits.MOST_URGENT_REQUESTS if is_urgent else 0)
        if len(self._credit) >= most or not (is_urgent or self._requests.take(now)):
            raise Busy(say("There are too many requests at once."))
        self._last_channel = self._last_channel % (2**32 - 1) + 1
        channel, credit = self._last_channel, limits.USUAL_CREDIT
        asked = {"type": "request", "name": name, "arguments": arguments, "credit": credit}
        self._send(channel, asked, is_urgent=is_urgent)
        self._credit[channel], self._consumed[channel] = credit, 0
        return channel

    def cancel(self, channel: int) -> None:
        """Say that nobody waits any more; the request still ends with an answer or a failure."""
        if channel in self._credit:
            self._send(channel, {"type": "cancel"})

    def consume(self, channel: int, count: int) -> None:
        """Let as many bytes follow as have been passed on."""
        if channel not in self._credit:
            return
        self._consumed[channel] += count
        if self._consumed[channel] >= limits.USUAL_CREDIT // 2:
            self._credit[channel] += self._consumed[channel]
            self._send(channel, {"type": "credit", "bytes": self._consumed[channel]})
            self._consumed[channel] = 0

    def _take_data(self, channel: int, data: bytes) -> list[Event]:
        self._require_request(channel)
        if self._credit[channel] < len(data):
            raise ProtocolError("more bytes than it has credit for")
        self._credit[channel] -= len(data)
        return [Data(channel, data)]

    def _take_message(self, channel: int, message: Message, now: float) -> list[Event]:
        self._require_request(channel)
        what = take_text(message, "type")
        event: Event
        if what == "answer":
            event = Answer(channel, take_object(message, "value"))
        elif what == "failure":
            event = Failure(channel, take_text(message, "code"), take_text(message, "reason"))
        else:
            raise ProtocolError(f"{what!a} as an answer")
        del self._credit[channel], self._consumed[channel]
        return [event]

    def _require_request(self, channel: int) -> None:
        if channel not in self._credit:
            raise ProtocolError(f"an answer to request {channel}, which nobody made")
