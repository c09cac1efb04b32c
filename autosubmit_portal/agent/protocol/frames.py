"""Frames, in which messages and bytes of many requests share one stream.

A frame is the length of its payload (4 bytes), its channel (4 bytes), its kind (1 byte), and the payload. Channel 0 is
the connection itself; each other one is a request. Before its first frame a side sends MAGIC: what a login shell may
have printed before is skipped.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.limits import MOST_FRAME_BYTES, MOST_JUNK_BYTES

# No shell prints these two bytes.
MAGIC = b"\x00\xffautosubmit-portal\n"
HEADER = struct.Struct(">IIB")
MOST_PAYLOAD_BYTES = MOST_FRAME_BYTES - HEADER.size
_SHOWN_JUNK_BYTES = 200


class Kind(IntEnum):
    """What a payload is. A long message comes in parts, which no other message in parts interrupts."""

    MESSAGE = 1
    PART = 2
    DATA = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was received."""

    channel: int
    kind: Kind
    payload: bytes


def make_frame(channel: int, kind: Kind, payload: bytes) -> bytes:
    """Return the bytes of a frame."""
    return HEADER.pack(len(payload), channel, kind) + payload


class FrameReader:
    """Cuts a stream into frames, whatever the pieces in which it comes; holds one frame at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._junk = bytearray()
        self._junk_bytes = 0
        self._has_begun = False

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._buffer += data

    def read(self) -> list[Frame]:
        """Return the frames that are whole by now."""
        if not self._has_begun and not self._skip_junk():
            return []
        frames, place = [], 0
        while len(self._buffer) - place >= HEADER.size:
            length, channel, number = HEADER.unpack_from(self._buffer, place)
            kind = _check_header(length, number)
            if len(self._buffer) - place - HEADER.size < length:
                break
            start = place + HEADER.size
            place = start + length
            frames.append(Frame(channel, kind, bytes(self._buffer[start:place])))
        del self._buffer[:place]
        return frames

    def describe_junk(self) -> str:
        """Return how what came before the first frame begins, for people; blank without any."""
        junk = b"" if self._has_begun else bytes(self._junk + self._buffer)[:_SHOWN_JUNK_BYTES]
        return f", only {ascii(junk)[1:]}" if junk else ""

    def _skip_junk(self) -> bool:
        """Drop what stands before MAGIC and return whether it is there."""
        place = self._buffer.find(MAGIC)
        self._has_begun = place >= 0
        # The end of what is there may be the beginning of MAGIC.
        junk = place if self._has_begun else max(0, len(self._buffer) - len(MAGIC) + 1)
        self._junk_bytes += junk
        self._junk += self._buffer[: min(junk, _SHOWN_JUNK_BYTES - len(self._junk))]
        if self._junk_bytes > MOST_JUNK_BYTES:
            raise ProtocolError(f"no frame in the first {MOST_JUNK_BYTES} bytes{self.describe_junk()}")
        del self._buffer[: junk + len(MAGIC) if self._has_begun else junk]
        return self._has_begun


def _check_header(length: int, number: int) -> Kind:
    if length > MOST_PAYLOAD_BYTES:
        raise ProtocolError(f"a frame of {length} bytes; at most {MOST_PAYLOAD_BYTES} are taken")
    if not length:
        raise ProtocolError("an empty frame")
    try:
        return Kind(number)
    except ValueError:
        raise ProtocolError(f"a frame of unknown kind {number}") from None
