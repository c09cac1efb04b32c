"""A channel that the agent opens: it calls the gateway, and shows the token of its host."""

import socket
from collections.abc import Set

from websockets.server import ServerProtocol

from autosubmit_portal.agent.protocol import Client
from autosubmit_portal.gateway.channel import Channel
from autosubmit_portal.gateway.web_socket_stream import WebSocketStream
from autosubmit_portal.sentences import say

NOT_CALLED = say("Its agent has not called yet.")
# An agent that has been let in starts Python before it says hello.
GREETING_SECONDS = 10.0


class CalledChannel(Channel):
    """Waits for the agent of a host; `digests` are those of the tokens that it may show."""

    def __init__(self, digests: Set[str], portal: str, now: float) -> None:
        super().__init__(portal, now)
        self.digests = digests
        self._shown = ""
        self._socket: socket.socket | None = None
        self._let_in_at = now
        self._explain(NOT_CALLED)

    def has_agent(self, now: float) -> bool:
        """Answer whether an agent is there, which no other may replace. One that may be gone is asked."""
        if not self.stream:
            return False
        if not self.client:
            return now - self._let_in_at < GREETING_SECONDS
        if self.is_silent(now):
            return False
        self.ping(now)
        return True

    def let_in(self, connected: socket.socket, protocol: ServerProtocol, shown: str, now: float) -> None:
        """Take a stream whose agent has shown a token of this digest; one that was there is left."""
        if self.stream:
            self.stream.connection.close(say("The agent has called anew, and this stream was silent."))
            self.close(say("The agent was silent and has called anew."), now)
        self._shown, self._socket, self._let_in_at, self.heard_at = shown, connected, now, now
        self.stream = WebSocketStream(Client({"portal": self._portal}, now), connected.fileno(), protocol)

    def allow(self, digests: Set[str], now: float) -> None:
        """Let in who shows a token of these from now on, and whoever has shown another out."""
        self.digests = digests
        if self.stream and self._shown not in digests:
            self.stream.connection.close(say("The token was revoked."))
            self.close(say("Its token was revoked."), now)

    def note_refusal(self, reason: str) -> None:
        """Keep why somebody who called as this host was not let in."""
        if not self.stream:
            self._explain(reason)

    def _leave(self, now: float) -> str:
        del now
        if self._socket:
            self._socket.close()
        self._socket = None
        return ""
