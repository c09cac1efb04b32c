"""What waits to be sent: what is urgent first."""

from collections import deque

from autosubmit_portal.agent.protocol.frames import MAGIC, MOST_PAYLOAD_BYTES, Kind, make_frame


class Outbox:
    """Frames in two rows. Within a row the order is kept, so the parts of a message stay together."""

    def __init__(self) -> None:
        self._urgent = deque([MAGIC])
        self._ordinary: deque[bytes] = deque()
        self.size = len(MAGIC)

    def add_message(self, channel: int, data: bytes, *, is_urgent: bool) -> None:
        """Add a message; a long one is never urgent, for its parts could interrupt those of another."""
        *parts, last = _cut(data)
        row = self._urgent if is_urgent and not parts else self._ordinary
        for part in parts:
            self._add(row, make_frame(channel, Kind.PART, part))
        self._add(row, make_frame(channel, Kind.MESSAGE, last))

    def add_data(self, channel: int, data: bytes) -> None:
        """Add bytes of an answer."""
        for part in _cut(data):
            self._add(self._ordinary, make_frame(channel, Kind.DATA, part))

    def take(self, most: int) -> bytes:
        """Return whole frames of about `most` bytes, at least one if there is any."""
        taken = bytearray()
        while (row := self._urgent or self._ordinary) and (not taken or len(taken) + len(row[0]) <= most):
            taken += row.popleft()
        self.size -= len(taken)
        return bytes(taken)

    def drop_ordinary(self) -> None:
        """Forget what is not urgent and has not been taken."""
        self.size -= sum(map(len, self._ordinary))
        self._ordinary.clear()

    def _add(self, row: deque[bytes], frame: bytes) -> None:
        row.append(frame)
        self.size += len(frame)


def _cut(data: bytes) -> list[bytes]:
    return [data[start : start + MOST_PAYLOAD_BYTES] for start in range(0, len(data), MOST_PAYLOAD_BYTES)]
