"""A channel that is a child process, started again after growing pauses when it ends."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from autosubmit_portal.agent.protocol import Client, Event
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway.channel import Channel
from autosubmit_portal.sentences import say

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
# A channel that has held for so long was a good one.
GOOD_SECONDS = 30.0
KILL_SECONDS = 10.0
_MOST_COMPLAINT_BYTES = 400


class ProgramChannel(Channel):
    """Reaches a host by a program."""

    def __init__(self, command: Sequence[str], portal: str, now: float) -> None:
        super().__init__(portal, now)
        self.reason = say("It has not been reached yet.")
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._complaint = b""
        self._left: list[tuple[subprocess.Popen[bytes], float]] = []
        self._pause = FIRST_PAUSE_SECONDS
        self._open_at = now

    @property
    def errors(self) -> int | None:
        """The descriptor on which the child complains."""
        return self._process.stderr.fileno() if self._process and self._process.stderr else None

    def tick(self, now: float) -> list[Event]:
        """Open the channel when it is time to, or look at the time of the connection."""
        self.reap(now)
        if not self.stream and now >= self._open_at:
            self._start(now)
            return []
        return super().tick(now)

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

    def reap(self, now: float) -> bool:
        """Wait for the children that were left, and kill what does not end, if we may; return whether all are gone."""
        for process, deadline in tuple(self._left):
            if process.poll() is not None:
                self._left.remove((process, deadline))
            elif now > deadline:
                with suppress(PermissionError):  # sudo is root's; the agent below it ends when it hears nothing
                    process.kill()
        return not self._left

    def _leave(self, now: float) -> str:
        """Close the pipes of the child; another is started after a pause."""
        if self.client:
            self._pause = FIRST_PAUSE_SECONDS if now - self.changed_at > GOOD_SECONDS else self._pause
        self._open_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        if self._process:
            self.read_errors()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe:
                    pipe.close()
            self._left.append((self._process, now + KILL_SECONDS))
        self._process = None
        return self._complaint.decode("utf-8", "replace").strip()

    def _start(self, now: float) -> None:
        self._complaint = b""
        try:
            # Bytes, so that nothing that is read stays in a buffer of ours.
            process = subprocess.Popen(
                self.command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            self.close(say("Its channel cannot be opened: {error}.", error=error), now)
            return
        self._process = process
        if process.stdin and process.stdout and process.stderr:
            client = Client({"portal": self._portal}, now)
            self.stream = Stream(client, process.stdout.fileno(), process.stdin.fileno())
            os.set_blocking(process.stderr.fileno(), False)
