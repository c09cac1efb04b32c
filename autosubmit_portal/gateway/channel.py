"""A channel to the agent of one host."""

from abc import ABC, abstractmethod

from autosubmit_portal.agent.protocol import Answer, Busy, Client, Closed, Event, Failure, Hello
from autosubmit_portal.agent.protocol.connection import make_reason
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway.troubles import explain

# An agent answers a ping at once, whatever it reads: one that takes longer is frozen, or its host is out of reach.
PING_SECONDS = 1.5


class Channel(ABC):
    """Reaches one host, or says since when and why not."""

    def __init__(self, portal: str, now: float) -> None:
        self.reason = self.remedy = ""
        self.changed_at = now
        self.facts: Message = {}
        self.stream: Stream | None = None
        self._portal = portal
        self.heard_at = now
        self._ping: int | None = None
        self._pinged_at: float | None = None

    @property
    def client(self) -> Client | None:
        """The gateway's end of the connection, once the agent has said hello."""
        connection = self.stream.connection if self.stream else None
        return connection if isinstance(connection, Client) and connection.version else None

    def tick(self, now: float) -> list[Event]:
        """Look at the time of the connection."""
        return self._notice(self.stream.connection.tick(now), now) if self.stream else []

    def ping(self, now: float) -> None:
        """Ask the agent whether it is there, if nobody waits to hear that already."""
        if not self.client or self._pinged_at is not None:
            return
        if self._ping is None:
            try:
                self._ping = self.client.request("ping", {}, now)
            except Busy:
                return
        self._pinged_at = now

    def is_silent(self, now: float) -> bool:
        """Answer whether the agent has said nothing since it was asked whether it is there."""
        return self._pinged_at is not None and now - self._pinged_at > PING_SECONDS

    def read(self, now: float) -> list[Event]:
        """Take what the agent has sent."""
        self.heard_at, self._pinged_at = now, None
        return self._notice(self.stream.read(now), now) if self.stream else []

    def write(self, now: float) -> list[Event]:
        """Send the agent what waits."""
        return self._notice(self.stream.write(), now) if self.stream else []

    def close(self, reason: str, now: float) -> None:
        """Leave the agent, which ends when its channel does."""
        if self.stream:
            self.stream.write()  # why it is closed
        complaint = self._leave(now)
        if self.client:
            self.changed_at = now  # and it stays, however often another channel cannot be opened
        self.stream = self._ping = self._pinged_at = None
        self._explain(f"{reason} {complaint}".strip())

    @abstractmethod
    def _leave(self, now: float) -> str:
        """Close what the stream goes through; return what it has complained of."""

    def _explain(self, reason: str) -> None:
        trouble = explain(reason)
        self.reason, self.remedy = make_reason(trouble.text), trouble.remedy

    def _notice(self, events: list[Event], now: float) -> list[Event]:
        for event in events:
            if isinstance(event, Hello):
                self.facts, self.reason, self.remedy, self.changed_at = event.facts, "", "", now
            elif isinstance(event, Closed):
                self.close(event.reason, now)
            elif isinstance(event, (Answer, Failure)) and event.channel == self._ping:
                self._ping = None
        return events
