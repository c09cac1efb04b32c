"""Requests to examine the host: a process looks, which may hang where the agent must not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from autosubmit_portal.agent.findings import Finding, Level, encode
from autosubmit_portal.agent.protocol.fields import refuse_others, take_number
from autosubmit_portal.agent.protocol.strict_json import Message

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

    def __init__(self, site_file: Path) -> None:
        self._site_file = site_file
        self._clocks: dict[int, list[int]] = {}
        self._examination: _Examination | None = None

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits."""
        return bool(self._clocks)

    def ask(self, channel: int, arguments: Message, now: float) -> None:
        """Take a request. The clock of who asks comes back beside ours, in milliseconds. Raises ProtocolError."""
        refuse_others(arguments, "clock")
        self._clocks[channel] = [take_number(arguments, "clock"), int(1000 * time.time())]
        self._examination = self._examination or _Examination(self._site_file, now)

    def cancel(self, channel: int) -> bool:
        """Leave somebody who does not wait any more; False if it is nobody."""
        return self._clocks.pop(channel, None) is not None

    def turn(self, now: float) -> Iterator[tuple[int, Message]]:
        """Yield the answers that there are."""
        if not self._examination or not self._examination.is_over(now):
            return
        findings = self._examination.finish()
        self._examination = None
        for channel in tuple(self._clocks):
            yield channel, {"findings": findings, "clock": self._clocks.pop(channel)}


class _Examination:
    """One process that examines."""

    def __init__(self, site_file: Path, now: float) -> None:
        self._deadline = now + MOST_SECONDS
        self._printed = b""
        self._has_ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, _ROOT, str(site_file)],
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)

    def is_over(self, now: float) -> bool:
        """Hear what has been found; return whether that is all, or whether nobody should wait for the rest."""
        self._has_ended = self._process.poll() is not None
        with suppress(BlockingIOError):
            while piece := os.read(self._output.fileno(), _PIECE_BYTES):
                self._printed += piece
        return self._has_ended or now > self._deadline

    def finish(self) -> list[Message]:
        """End the process with all that it has started, and return what was found."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._output.close()
        lines = [json.loads(line) for line in self._printed.splitlines() if line.endswith(b"}")]
        found = [line for line in lines if "at" not in line]
        if not self._has_ended:
            where = next((line["at"] for line in reversed(lines) if "at" in line), "site file")
            text = f"To look at this has not ended for {MOST_SECONDS:.0f} s."
            found.append(encode(Finding(where, Level.FAIL, text, "A file system or a directory service may hang.")))
        return found
