"""One request on its way from a caller to a host and back."""

from collections import deque
from dataclasses import dataclass, field

from autosubmit_portal.agent.protocol import Answer, Client, Failure, ProtocolError, Server
from autosubmit_portal.sentences import say


@dataclass(eq=False, slots=True)
class Relay:
    """Passes bytes on as fast as the caller takes them; holds no more than the agent has credit for."""

    caller: Server
    caller_channel: int
    client: Client
    host_channel: int
    asked_at: float
    most_seconds: float
    is_patient: bool = True
    is_watched: bool = True
    _held: deque[bytes] = field(default_factory=deque)
    _last: Answer | Failure | None = None

    def was_taken(self, heard_at: float) -> bool:
        """Answer whether to wait although the agent is silent: it was heard since it was asked, or the caller waits."""
        return self.is_patient or heard_at > self.asked_at

    def take_data(self, data: bytes) -> None:
        """Take bytes from the host."""
        self._held.append(data)

    def take_last(self, event: Answer | Failure) -> None:
        """Take the answer or the failure from the host."""
        self._last = event

    def pass_on(self) -> bool:
        """Pass on what the caller takes; return whether that was all."""
        while self._held:
            piece = self._held[0]
            if self.is_watched:
                piece = piece[: self.caller.credit(self.caller_channel)]
                if not piece:
                    return False
                self.caller.send_data(self.caller_channel, piece)
            self.client.consume(self.host_channel, len(piece))
            self._held[0] = self._held[0][len(piece) :]
            if not self._held[0]:
                self._held.popleft()
        if not self._last:
            return False
        self._finish(self._last)
        return True

    def fail(self, code: str, reason: str) -> None:
        """Tell the caller that there is no answer."""
        if self.is_watched:
            self.caller.fail(self.caller_channel, code, reason)
        self.is_watched = False

    def leave(self) -> None:
        """Go on without the caller: nobody waits for the answer any more."""
        self.is_watched = False
        self.client.cancel(self.host_channel)

    def _finish(self, event: Answer | Failure) -> None:
        if isinstance(event, Failure):
            self.fail(event.code, event.reason)
        elif self.is_watched:
            try:
                self.caller.answer(self.caller_channel, event.value)
            except ProtocolError as error:  # written by us it is longer than what the agent wrote
                self.fail("invalid", say("The answer is {error}.", error=error))
