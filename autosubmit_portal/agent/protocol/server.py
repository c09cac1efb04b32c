"""The agent's end of a connection."""

from autosubmit_portal.agent.protocol import limits
from autosubmit_portal.agent.protocol.connection import URGENT, Connection, make_reason
from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.events import Cancelled, Event, Request
from autosubmit_portal.agent.protocol.fields import take_number, take_object, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.protocol.versions import OURS, Versions
from autosubmit_portal.sentences import say


class Server(Connection):
    """It answers."""

    def __init__(self, facts: Message, now: float, spoken: Versions = OURS) -> None:
        super().__init__(facts, now, spoken)
        self._credit: dict[int, int] = {}
        self._urgent: set[int] = set()

    def credit(self, channel: int) -> int:
        """Return how many bytes may be sent now for a request."""
        return self._credit[channel]

    def send_data(self, channel: int, data: bytes) -> None:
        """Send bytes of an answer, no more than there is credit for."""
        if len(data) > self._credit[channel]:
            raise ValueError(say("There is not enough credit."))
        self._credit[channel] -= len(data)
        self._outbox.add_data(channel, data)

    def answer(self, channel: int, value: Message) -> None:
        """Answer a request; ProtocolError for what the other side would refuse."""
        self._finish(channel, {"type": "answer", "value": value})

    def fail(self, channel: int, code: str, reason: str) -> None:
        """Say why a request has no answer."""
        self._finish(channel, {"type": "failure", "code": code, "reason": make_reason(reason)})

    def _finish(self, channel: int, message: Message) -> None:
        if channel not in self._credit:
            raise ValueError(say("Request {channel} has been answered.", channel=channel))
        self._send(channel, message, is_urgent=channel in self._urgent)
        del self._credit[channel]
        self._urgent.discard(channel)

    def _take_data(self, channel: int, data: bytes) -> list[Event]:
        raise ProtocolError("bytes, which only an agent sends")

    def _take_message(self, channel: int, message: Message, now: float) -> list[Event]:
        what = take_text(message, "type")
        if what == "request":
            return [self._take_request(channel, message)]
        if what not in ("cancel", "credit"):
            raise ProtocolError(f"{what!a} about a request, which is unknown")
        if what == "credit":
            self._take_credit(channel, take_number(message, "bytes", least=1, most=limits.MOST_CREDIT))
        # The answer may be on its way already.
        return [Cancelled(channel)] if what == "cancel" and channel in self._credit else []

    def _take_request(self, channel: int, message: Message) -> Request:
        if channel in self._credit:
            raise ProtocolError(f"request {channel} twice")
        most = limits.MOST_REQUESTS + limits.MOST_URGENT_REQUESTS
        if len(self._credit) >= most:
            raise ProtocolError(f"more than {most} requests at once")
        request = Request(channel, take_text(message, "name"), take_object(message, "arguments"))
        self._credit[channel] = take_number(message, "credit", most=limits.MOST_CREDIT)
        if request.name in URGENT:
            self._urgent.add(channel)
        return request

    def _take_credit(self, channel: int, count: int) -> None:
        if channel not in self._credit:
            return
        self._credit[channel] += count
        if self._credit[channel] > limits.MOST_CREDIT:
            raise ProtocolError(f"credit for more than {limits.MOST_CREDIT} bytes")
