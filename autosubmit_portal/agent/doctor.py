"""Requests to examine the host: a process looks, which may hang where the agent must not."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from autosubmit_portal.agent.findings import Finding, Level, encode
from autosubmit_portal.agent.protocol import Server
from autosubmit_portal.agent.protocol.fields import refuse_others, take_number
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.sentences import say

# The gateway waits somewhat longer for an answer.
MOST_SECONDS = 35.0
# The archive, or the folder of the packages.
_ROOT = str(Path(__file__).parents[2])
_CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from autosubmit_portal.agent.examination import main
main(sys.argv[2])
"""
_PIECE_BYTES = 64 * 1024


class Doctor:
    """Answers those who ask; who asks meanwhile gets the same findings."""

    def __init__(self, site_file: Path, connection: Server) -> None:
        self._site_file = site_file
        self._connection = connection
        self._clocks: dict[int, list[int]] = {}
        self._examination: _Examination | None = None
        self._left: list[subprocess.Popen[bytes]] = []

    @property
    def is_busy(self) -> bool:
        """Whether `turn` should be called often."""
        return bool(self._examination)

    def ask(self, channel: int, arguments: Message, now: float) -> None:
        """Take a request. The clock of who asks comes back beside ours, in milliseconds. Raises ProtocolError."""
        refuse_others(arguments, "clock")
        self._clocks[channel] = [take_number(arguments, "clock"), int(1000 * time.time())]
        self._examination = self._examination or _Examination(self._site_file, now)

    def cancel(self, channel: int) -> None:
        """Leave a request that nobody waits for."""
        if self._clocks.pop(channel, None):
            self._connection.fail(channel, "cancelled", say("Nobody waits for it."))

    def turn(self, now: float) -> None:
        """Answer when everything has been looked at."""
        self._left = [process for process in self._left if process.poll() is None]
        if self._examination and self._examination.is_over(now):
            findings = self.close()
            for channel in tuple(self._clocks):
                self._connection.answer(channel, {"findings": findings, "clock": self._clocks.pop(channel)})

    def close(self) -> list[Message]:
        """End the examination and return what was found."""
        if not self._examination:
            return []
        findings = self._examination.finish()
        self._left.append(self._examination.process)
        self._examination = None
        return findings


class _Examination:
    """One process that examines."""

    def __init__(self, site_file: Path, now: float) -> None:
        self._deadline = now + MOST_SECONDS
        self._printed = b""
        self._has_ended = False
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, _ROOT, str(site_file)],
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._output = cast("IO[bytes]", self.process.stdout)
        os.set_blocking(self._output.fileno(), False)

    def is_over(self, now: float) -> bool:
        """Hear what has been found; return whether that is all, or whether nobody should wait for the rest."""
        self._has_ended = self.process.poll() is not None
        with suppress(BlockingIOError):
            while piece := os.read(self._output.fileno(), _PIECE_BYTES):
                self._printed += piece
        return self._has_ended or now > self._deadline

    def finish(self) -> list[Message]:
        """End the process with all that it has started, and return what was found."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._output.close()
        lines = [json.loads(line) for line in self._printed.splitlines() if line.endswith(b"}")]
        found = [line for line in lines if "at" not in line]
        where = next((line["at"] for line in reversed(lines) if "at" in line), "site file")
        if where:
            ended = say("To look at this was ended ({code}).", code=self.process.returncode)
            text = ended if self._has_ended else say("To look at this takes too long.")
            found.append(
                encode(Finding(Level.FAIL, where, text, say("A file system or a directory service may hang.")))
            )
        return found
