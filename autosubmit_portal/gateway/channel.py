"""A channel to the agent of one host: a child process, started again after growing pauses when it ends."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from autosubmit_portal.agent.protocol import Answer, Busy, Client, Closed, Event, Failure, Hello
from autosubmit_portal.agent.protocol.connection import make_reason
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway.troubles import explain

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
# A channel that has held for so long was a good one.
GOOD_SECONDS = 30.0
KILL_SECONDS = 10.0
# An agent answers a ping at once, whatever it reads: one that takes longer is frozen, or its host is out of reach.
PING_SECONDS = 1.5
_MOST_COMPLAINT_BYTES = 400


class Channel:
    """Reaches one host, or says since when and why not."""

    def __init__(self, command: Sequence[str], portal: str, now: float) -> None:
        self.reason = "It has not been reached yet."
        self.remedy = ""
        self.changed_at = now
        self.facts: Message = {}
        self.stream: Stream | None = None
        self.command = command
        self._portal = portal
        self._process: subprocess.Popen[bytes] | None = None
        self._complaint = b""
        self._left: list[tuple[subprocess.Popen[bytes], float]] = []
        self._pause = FIRST_PAUSE_SECONDS
        self._open_at = now
        self.heard_at = now
        self._ping: int | None = None
        self._pinged_at: float | None = None

    @property
    def client(self) -> Client | None:
        """The gateway's end of the connection, once the agent has said hello."""
        connection = self.stream.connection if self.stream else None
        return connection if isinstance(connection, Client) and connection.version else None

    @property
    def errors(self) -> int | None:
        """The descriptor on which the child complains."""
        return self._process.stderr.fileno() if self._process and self._process.stderr else None

    def tick(self, now: float) -> list[Event]:
        """Open the channel when it is time to, or look at the time of the connection."""
        self.reap(now)
        if self.stream:
            return self._notice(self.stream.connection.tick(now), now)
        if now >= self._open_at:
            self._open(now)
        return []

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

    def read_errors(self) -> None:
        """Keep the end of what the child complains of: it often is why there is no connection."""
        if self._process and self._process.stderr:
            try:
                data = os.read(self._process.stderr.fileno(), 4096)
            except BlockingIOError:
                return
            if not data:
                self._process.stderr.close()
                self._process.stderr = None
            self._complaint = (self._complaint + data)[-_MOST_COMPLAINT_BYTES:]

    def close(self, reason: str, now: float) -> None:
        """Leave the agent, which ends when its channel does, and open another channel after a pause."""
        if self.client:
            self._pause = FIRST_PAUSE_SECONDS if now - self.changed_at > GOOD_SECONDS else self._pause
            self.changed_at = now  # and it stays, however often another channel cannot be opened
        self._open_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        if self.stream:
            self.stream.write()  # why it is closed
        if self._process:
            self.read_errors()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe:
                    pipe.close()
            self._left.append((self._process, now + KILL_SECONDS))
        self.stream = self._process = self._ping = self._pinged_at = None
        complaint = self._complaint.decode("utf-8", "replace").strip()
        trouble = explain(f"{reason} {complaint}".strip())
        self.reason, self.remedy = make_reason(trouble.text), trouble.remedy

    def reap(self, now: float) -> bool:
        """Wait for the children that were left, and kill what does not end, if we may; return whether all are gone."""
        for process, deadline in tuple(self._left):
            if process.poll() is not None:
                self._left.remove((process, deadline))
            elif now > deadline:
                with suppress(PermissionError):  # sudo is root's; the agent below it ends when it hears nothing
                    process.kill()
        return not self._left

    def _open(self, now: float) -> None:
        self._complaint = b""
        try:
            # Bytes, so that nothing that is read stays in a buffer of ours.
            process = subprocess.Popen(
                self.command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            self.close(f"Its channel cannot be opened: {error}.", now)
            return
        self._process = process
        if process.stdin and process.stdout and process.stderr:
            client = Client({"portal": self._portal}, now)
            self.stream = Stream(client, process.stdout.fileno(), process.stdin.fileno())
            os.set_blocking(process.stderr.fileno(), False)

    def _notice(self, events: list[Event], now: float) -> list[Event]:
        for event in events:
            if isinstance(event, Hello):
                self.facts, self.reason, self.remedy, self.changed_at = event.facts, "", "", now
            elif isinstance(event, Closed):
                self.close(event.reason, now)
            elif isinstance(event, (Answer, Failure)) and event.channel == self._ping:
                self._ping = None
        return events
