"""What both ends of a connection have in common: bytes in, events and bytes out."""

from abc import ABC, abstractmethod

from autosubmit_portal.agent.protocol import limits, strict_json
from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.events import Closed, Event, Hello
from autosubmit_portal.agent.protocol.fields import take_object, take_text, take_version
from autosubmit_portal.agent.protocol.frames import Frame, FrameReader, Kind
from autosubmit_portal.agent.protocol.outbox import Outbox
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.protocol.versions import OURS, Version, Versions
from autosubmit_portal.sentences import say

# What is sent before anything else, and so is the answer to it.
URGENT = frozenset({"end", "give_up"})
_MOST_REASON = 500


def make_reason(text: str) -> str:
    """Return a reason as it may be sent, whatever it quotes."""
    return text[:_MOST_REASON].encode("utf-8", "replace").decode().replace("\0", "?")


class Connection(ABC):
    """The stream, the hellos, heartbeats and the end. Whoever holds it reads, writes and tells the time.

    `now` is always a clock that never goes back, in seconds. Either side may open the stream: both say hello at once.
    """

    def __init__(self, facts: Message, now: float, spoken: Versions = OURS) -> None:
        self.version: Version | None = None
        self.closed_because = ""
        self._spoken = spoken
        self._reader = FrameReader()
        self._outbox = Outbox()
        self._part_of: int | None = None
        self._parts = bytearray()
        self._messages = limits.Rate(limits.MESSAGES_PER_SECOND, limits.MESSAGES_AT_ONCE, now)
        self.heard_at = self._beaten_at = now
        versions = {"oldest": spoken.oldest, "newest": spoken.newest}
        self._send(0, {"type": "hello", **versions, "facts": facts}, is_urgent=True)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what the other side sent, and return what it means."""
        events: list[Event] = []
        try:
            self._reader.add(data)
            for frame in self._reader.read():
                if self.is_closed:
                    break
                self.heard_at = now
                events += self._take_frame(frame, now)
        except ProtocolError as error:
            events += self.close(say("The other side sent {error}.", error=error))
        return events

    def receive_end(self) -> list[Event]:
        """Take the end of the stream."""
        return self._end(f"The stream ended{self._reader.describe_junk()}.")

    def _explain_silence(self, seconds: str) -> str:
        if self.version:
            return say("The other side has said nothing for {seconds} s.", seconds=seconds)
        junk = self._reader.describe_junk()
        return say("The other side has said no hello{junk} for {seconds} s.", junk=junk, seconds=seconds)

    def tick(self, now: float) -> list[Event]:
        """Look at the time, about once a second: beat, and close when the other side is silent."""
        patience = limits.SILENCE_SECONDS if self.version else limits.HELLO_SECONDS
        if now - self.heard_at > patience:
            return self.close(self._explain_silence(f"{patience:.0f}"))
        if now - self._beaten_at >= limits.HEARTBEAT_SECONDS and not self.is_closed:
            self._beaten_at = now
            if not self._outbox.size:  # whatever is sent shows that we live
                self._send(0, {"type": "heartbeat"}, is_urgent=True)
        return []

    def close(self, reason: str) -> list[Event]:
        """Tell the other side why, after what is urgent and before nothing else."""
        if not self.is_closed:
            self._outbox.drop_ordinary()
            self._send(0, {"type": "close", "reason": make_reason(reason)}, is_urgent=True)
        return self._end(reason)

    @property
    def is_closed(self) -> bool:
        """Whether anything can still come of it; `closed_because` says why not."""
        return bool(self.closed_because)

    def take_bytes(self, most: int = limits.MOST_FRAME_BYTES) -> bytes:
        """Return the next bytes to send, empty if there are none."""
        return self._outbox.take(most)

    @property
    def bytes_to_send(self) -> int:
        """How many bytes wait to be sent."""
        return self._outbox.size

    @abstractmethod
    def _take_message(self, channel: int, message: Message, now: float) -> list[Event]:
        """Return what a message about a request means."""

    @abstractmethod
    def _take_data(self, channel: int, data: bytes) -> list[Event]:
        """Return what bytes of an answer mean."""

    def _end(self, reason: str) -> list[Event]:
        if self.is_closed:
            return []
        self.closed_because = reason
        return [Closed(reason)]

    def _send(self, channel: int, message: Message, *, is_urgent: bool = False) -> None:
        self._outbox.add_message(channel, strict_json.encode(message), is_urgent=is_urgent)

    def _take_frame(self, frame: Frame, now: float) -> list[Event]:
        if frame.kind is Kind.DATA:
            if not self.version:
                raise ProtocolError("bytes before its hello")
            return self._take_data(frame.channel, frame.payload)
        if not self._messages.take(now):
            raise ProtocolError(f"more than {limits.MESSAGES_PER_SECOND} messages a second")
        if not self.version and len(frame.payload) > limits.MOST_HELLO_BYTES:
            raise ProtocolError(f"a hello of more than {limits.MOST_HELLO_BYTES} bytes")
        if frame.kind is Kind.PART:
            self._take_part(frame)
            return []
        message = strict_json.decode(self._join_parts(frame))
        if frame.channel:
            if not self.version:
                raise ProtocolError("a message before its hello")
            return self._take_message(frame.channel, message, now)
        return self._take_control(message)

    def _take_part(self, frame: Frame) -> None:
        if self._part_of not in (None, frame.channel):
            raise ProtocolError("two messages in parts at once")
        self._part_of = frame.channel
        self._parts += frame.payload
        if len(self._parts) > limits.MOST_MESSAGE_BYTES:
            raise ProtocolError(f"a message of more than {limits.MOST_MESSAGE_BYTES} bytes")

    def _join_parts(self, frame: Frame) -> bytes:
        if self._part_of != frame.channel:
            return frame.payload
        whole = bytes(self._parts) + frame.payload
        self._part_of, self._parts = None, bytearray()
        return whole

    def _take_control(self, message: Message) -> list[Event]:
        what = take_text(message, "type")
        if what == "close":
            return self._end(say("The other side closed: {reason}", reason=take_text(message, "reason")))
        if not self.version:
            return self._take_hello(what, message)
        if what != "heartbeat":
            raise ProtocolError(f"{what!a} about the connection, which is unknown")
        return []

    def _take_hello(self, what: str, message: Message) -> list[Event]:
        if what != "hello":
            raise ProtocolError(f"{what!a} before its hello")
        theirs = Versions(take_version(message, "oldest"), take_version(message, "newest"))
        try:
            self.version = self._spoken.agree(theirs)
        except ProtocolError as error:
            return self.close(say("No common language: {error}.", error=error))
        return [Hello(self.version, take_object(message, "facts"))]
