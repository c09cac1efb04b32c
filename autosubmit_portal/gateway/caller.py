"""How a process of the portal asks its gateway."""

import select
import time
from pathlib import Path
from types import TracebackType

from autosubmit_portal.agent.protocol import Answer, Client, Data, Event, Failure, ProtocolError
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway import sockets
from autosubmit_portal.sentences import say


class Unanswered(Exception):
    """There is no answer, so that nobody knows whether what was asked has happened."""


class Refused(Exception):
    """The gateway or the agent answers why it does not do it: `code` for programs, the text for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def list_hosts(place: Path, seconds: float) -> Message:
    """Return of each host of a gateway whether it is connected, since when, and why not."""
    with _Call(place, seconds) as call:
        return call.ask("hosts", {})[0]


def ask(
    place: Path, host: str, name: str, arguments: Message, seconds: float, *, is_for_page: bool = False
) -> tuple[Message, bytes]:
    """Ask the agent of a host; return its answer and the bytes that came with it.

    Raises Refused, or Unanswered when there is no answer within `seconds`; for a page, soon when the agent is silent.
    """
    with _Call(place, seconds) as call:
        return call.ask(name, {"host": host, "arguments": arguments, "is_for_page": is_for_page})


class NoGateway(Refused):
    """No gateway listens."""

    def __init__(self, reason: str) -> None:
        super().__init__("away", reason)


class _Call:
    """A connection for one question, so that none waits behind another and none is asked on a line that is dead."""

    def __init__(self, place: Path, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        try:
            self._socket = sockets.connect(place, seconds)
        except OSError as error:
            raise NoGateway(say("The gateway cannot be reached: {error}.", error=error)) from error
        self._client = Client({}, time.monotonic())
        self._stream = Stream(self._client, self._socket.fileno(), self._socket.fileno())

    def __enter__(self) -> "_Call":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, name: str, arguments: Message) -> tuple[Message, bytes]:
        """Ask, and wait for the answer."""
        self._greet()
        try:
            channel = self._client.request(name, arguments, time.monotonic())
        except ProtocolError as error:
            raise Refused("invalid", say("The request is {error}.", error=error)) from error
        data = bytearray()
        while True:
            for event in self._turn():
                if isinstance(event, Data):
                    data += event.data
                    self._client.consume(channel, len(event.data))
                elif isinstance(event, Answer):
                    return event.value, bytes(data)
                elif isinstance(event, Failure):
                    raise _make_error(event)

    def _greet(self) -> None:
        """Wait for the gateway's hello; nothing has been asked yet."""
        try:
            while not self._client.version:
                self._turn()
        except Unanswered as error:
            raise Refused("away", str(error)) from error

    def _turn(self) -> list[Event]:
        """Pass on what there is, or wait for it."""
        left = self._deadline - time.monotonic()
        if self._client.is_closed:
            raise Unanswered(say("The gateway is gone: {reason}", reason=self._client.closed_because))
        if left <= 0:
            raise Unanswered(say("The gateway has not answered in time."))
        events = self._stream.write()
        poll = select.poll()
        writes = select.POLLOUT if self._stream.has_something_to_write else 0
        poll.register(self._socket, select.POLLIN | writes)
        if poll.poll(min(left, 1.0) * 1000):
            events += self._stream.read(time.monotonic())
        return events + self._client.tick(time.monotonic())


def _make_error(event: Failure) -> Exception:
    return Unanswered(event.reason) if event.code == "unanswered" else Refused(event.code, event.reason)
