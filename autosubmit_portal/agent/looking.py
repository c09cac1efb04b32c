"""The requests `look`: who waits for news of a command is answered as soon as there is some."""

import os
import selectors
from dataclasses import dataclass

from autosubmit_portal.agent.protocol import Server, limits
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.requests import Commands, Waiting
from autosubmit_portal.sentences import say

# How soon new output is told. The end is told at once where the kernel tells it.
LOOK_SECONDS = 0.2


@dataclass(slots=True)
class _Looker:
    """Somebody who waits, when it is looked for them again, and what is ready for reading when the command ends."""

    waiting: Waiting
    due: float = 0.0
    end: int | None = None


class Looking:
    """Looks for those who wait. Never waits itself."""

    def __init__(self, commands: Commands, connection: Server) -> None:
        self._commands = commands
        self._connection = connection
        self._lookers: dict[int, _Looker] = {}
        self._selector = selectors.EpollSelector()

    def fileno(self) -> int:
        """Return a descriptor that is ready for reading when a command has ended for whose end somebody waits."""
        return self._selector.fileno()

    @property
    def is_busy(self) -> bool:
        """Whether `turn` should be called often."""
        return bool(self._lookers)

    def ask(self, channel: int, arguments: Message, now: float) -> None:
        """Take a request. Raises ProtocolError."""
        self._lookers[channel] = _Looker(self._commands.wait_for(arguments, now))

    def cancel(self, channel: int) -> None:
        """Leave a request that nobody waits for."""
        if channel in self._lookers:
            self._leave(channel)
            self._connection.fail(channel, "cancelled", say("Nobody waits for it."))

    def turn(self, now: float) -> None:
        """Answer those for whom there is news, while the gateway takes what is sent."""
        for key, _ in self._selector.select(0):
            looker = self._lookers[key.data]
            self._close_end(looker)
            looker.due = now
        for channel, looker in tuple(self._lookers.items()):
            if self._connection.is_closed or self._connection.bytes_to_send > limits.USUAL_CREDIT:
                return
            if looker.due <= now:
                self._look(channel, looker, now)

    def close(self) -> None:
        """Leave all who wait."""
        for channel in tuple(self._lookers):
            self._leave(channel)

    def _look(self, channel: int, looker: _Looker, now: float) -> None:
        try:
            news = looker.waiting.look(self._connection.credit(channel))
        except (OSError, ValueError) as error:
            self._leave(channel)
            self._connection.fail(channel, "failed", f"{error}.")
            return
        if news:
            self._leave(channel)
            self._connection.send_data(channel, news[1])
            self._connection.answer(channel, news[0])
            return
        looker.due = now + LOOK_SECONDS
        if looker.end is None and (end := looker.waiting.open_end()) is not None:
            looker.end = end
            self._selector.register(end, selectors.EVENT_READ, channel)

    def _leave(self, channel: int) -> None:
        self._close_end(self._lookers.pop(channel))

    def _close_end(self, looker: _Looker) -> None:
        if looker.end is not None:
            self._selector.unregister(looker.end)
            os.close(looker.end)
            looker.end = None
