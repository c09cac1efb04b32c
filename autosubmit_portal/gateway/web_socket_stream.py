"""A connection in the binary messages of a WebSocket."""

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from autosubmit_portal.agent.protocol import Client, Event
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.sentences import say

# Answers to pings wait here, of somebody who asks and does not read.
_MOST_UNSENT_BYTES = 1024 * 1024


class WebSocketStream(Stream):
    """Reads and writes frames, of which the library without I/O knows everything but the size of a queue."""

    def __init__(self, client: Client, descriptor: int, protocol: ServerProtocol) -> None:
        super().__init__(client, descriptor, descriptor)
        self._protocol = protocol
        self._unsent = b"".join(protocol.data_to_send())

    def _receive(self, data: bytes, now: float) -> list[Event]:
        self._protocol.receive_data(data)
        events: list[Event] = []
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and not self.connection.is_closed:
                events += self._take_frame(frame, now)
        self._unsent += b"".join(self._protocol.data_to_send())
        if self._protocol.parser_exc:
            events += self.connection.close(
                say("The other side sent {what}.", what=_describe(self._protocol.parser_exc))
            )
        elif len(self._unsent) > _MOST_UNSENT_BYTES:
            events += self.connection.close(say("The other side asks for answers that it does not take."))
        return events

    def _take_frame(self, frame: Frame, now: float) -> list[Event]:
        if frame.opcode is Opcode.BINARY and frame.fin:
            return self.connection.receive(bytes(frame.data), now)
        if frame.opcode is Opcode.CLOSE:
            return self.connection.receive_end()
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            return []
        self._protocol.fail(CloseCode.UNSUPPORTED_DATA)
        return self.connection.close(say("The other side sent a message that is not one binary frame."))

    def _take_bytes(self) -> bytes:
        data = self.connection.take_bytes()
        if self._protocol.state is not State.OPEN:
            return b""
        self._protocol.send_binary(data)
        return b"".join(self._protocol.data_to_send())


def _describe(error: Exception) -> str:
    return "a message that is too long" if isinstance(error, PayloadTooBig) else f"no WebSocket frame: {error}"
