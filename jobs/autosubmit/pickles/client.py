"""Having pickled job lists decoded by a process that may die of them: see `jobs.autosubmit.pickles.sandbox`."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from jobs.autosubmit.job_record import COLUMNS
from jobs.autosubmit.pickles.costs import compute_seconds
from jobs.autosubmit.pickles.formats import MAX_EDGES, MAX_JOBS
from jobs.autosubmit.pickles.sandbox import LENGTH
from jobs.autosubmit.refusal import Refused
from jobs.autosubmit.values import LONGEST_TEXT

_ROOT = Path(__file__).resolve().parents[3]
# Beyond its time of computing it may wait for a busy processor, and for itself to start.
_PATIENCE = 60
# The most that Linux gives anybody: every time that a pipe is full, or empty, two processes wait for each other.
_PIPE_BYTES = 1024 * 1024
# A process that has decoded more than this is not kept: it may hold a GB that nobody needs any more.
_KEPT_BYTES = 32 * 1024 * 1024
# In JSON a character takes six bytes at most; of edges there are a thousand in a line.
_LONGEST_LINE = 6 * LONGEST_TEXT * max(len(COLUMNS), 2000) + 64 * 1024
_MOST_LINES = MAX_JOBS + MAX_EDGES + 1


class Decoder:
    """One decoder process, started when it is first needed and kept while it behaves.

    It is ended after every refusal: whatever a hostile pickle may have left behind ends with it. Threads take turns.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def decode(self, pickle: IO[bytes], length: int) -> Iterator[bytes]:
        """Yield a line of JSON for each job, then for its edges, of a job list of `length` bytes: see `decoder`.

        Raises Refused, perhaps after some lines: only a list that has been read to its end counts.
        """
        with self._turn:
            is_whole = False
            try:
                yield from self._ask(pickle, length)
                is_whole = length <= _KEPT_BYTES
            finally:
                if not is_whole:
                    self.close()

    def close(self) -> None:
        """End the process; the next call starts another."""
        if self._process:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def forget(self) -> None:
        """Leave the process to the parent that this one was forked from, which may be talking to it right now."""
        self.__init__()  # type: ignore[misc]

    def _ask(self, pickle: IO[bytes], length: int) -> Iterator[bytes]:
        process = self._start()
        try:
            with _kill_after(process, compute_seconds(length) + _PATIENCE):
                yield from _exchange(process, pickle, length)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            reason = f"the decoder ended with {process.returncode}"
            raise Refused(f"refused: it takes too much memory or time, or nests too deeply ({reason})") from error

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-m", "jobs.autosubmit.pickles.sandbox"],
                cwd=_ROOT,
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pipesize=_PIPE_BYTES,
            )
        return self._process


@contextmanager
def _kill_after(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[None]:
    """Kill a process that has not answered after so many seconds, which ends the wait for it."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exchange(process: "subprocess.Popen[bytes]", pickle: IO[bytes], length: int) -> Iterator[bytes]:
    request, reply = cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))
    _send(request, pickle, length)
    for _ in range(_MOST_LINES):
        line = reply.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        if line.startswith(b'{"is_whole"'):
            return
        if line.startswith(b'{"refused"'):
            raise Refused(json.loads(line)["refused"])
        yield line
    raise ValueError("an answer of too many lines")


def _send(request: IO[bytes], pickle: IO[bytes], length: int) -> None:
    """Hand a pickle on, which may be larger than anybody wants to hold."""
    request.write(length.to_bytes(LENGTH, "big"))
    left = length
    while left:
        part = pickle.read(min(left, _PIPE_BYTES))
        if not part:
            raise Refused("truncated: it became shorter while it was read")
        request.write(part)
        left -= len(part)
    request.flush()


decoder = Decoder()
"""The decoder of this process."""

atexit.register(decoder.close)
os.register_at_fork(after_in_child=decoder.forget)
