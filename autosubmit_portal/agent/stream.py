"""A connection on two descriptors, which are never waited for."""

import os

from autosubmit_portal.agent.protocol import Connection, Event

_PIECE_BYTES = 64 * 1024


class Stream:
    """Reads and writes what a connection needs, as much as goes at once."""

    def __init__(self, connection: Connection, reader: int, writer: int) -> None:
        self.connection = connection
        self.reader = reader
        self.writer = writer
        self._unsent = b""
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)

    @property
    def has_something_to_write(self) -> bool:
        """Whether `write` should be called when the writer is ready."""
        return bool(self._unsent) or bool(self.connection.bytes_to_send)

    def read(self, now: float) -> list[Event]:
        """Take what has come."""
        try:
            data = os.read(self.reader, _PIECE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        return self._receive(data, now) if data else self.connection.receive_end()

    def write(self) -> list[Event]:
        """Send what waits, until the writer takes no more."""
        while self.has_something_to_write:
            self._unsent = self._unsent or self._take_bytes()
            try:
                self._unsent = self._unsent[os.write(self.writer, self._unsent) :]
            except BlockingIOError:
                break
            except OSError:
                self._unsent = b""
                return self.connection.receive_end()
        return []

    def _receive(self, data: bytes, now: float) -> list[Event]:
        return self.connection.receive(data, now)

    def _take_bytes(self) -> bytes:
        return self.connection.take_bytes()
