"""Having pickled job lists decoded by a process that may die of them: see `jobs.autosubmit.decoder`."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from jobs.autosubmit.decoder import LENGTH, MAX_ANSWER, seconds_for
from jobs.autosubmit.pickled import Refused

_ROOT = Path(__file__).resolve().parents[2]
# Beyond its time of computing it may wait for a busy processor, and for itself to start.
_PATIENCE = 60
# The most that Linux gives anybody: every time that a pipe is full, or empty, two processes wait for each other.
_PIPE_BYTES = 1024 * 1024


class Decoder:
    """One decoder process, started when it is first needed and kept while it behaves.

    It is ended after every refusal: whatever a hostile pickle may have left behind ends with it. Threads take turns.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return `{"jobs": rows, "edges": pairs}` of a pickled job list; see `forms.COLUMNS`. Raises Refused."""
        with self._turn:
            answer = self._ask(data)
            if "refused" in answer:
                self.close()
                raise Refused(answer["refused"])
            return answer

    def close(self) -> None:
        """End the process; the next call starts another."""
        if self._process:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def forget(self) -> None:
        """Leave the process to the parent that this one was forked from, which may be talking to it right now."""
        self.__init__()  # type: ignore[misc]

    def _ask(self, data: bytes) -> dict[str, Any]:
        process = self._started()
        try:
            with _deadline(process, seconds_for(len(data)) + _PATIENCE):
                return _exchanged(process, data)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            reason = f"the decoder ended with {process.returncode}"
            raise Refused(
                f"refused: it takes too much memory or time, or nests too deeply ({reason})"
            ) from error

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-m", "jobs.autosubmit.decoder"],
                cwd=_ROOT,
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pipesize=_PIPE_BYTES,
            )
        return self._process


@contextmanager
def _deadline(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[None]:
    """Kill a process that has not answered after so many seconds, which ends the wait for it."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exchanged(process: "subprocess.Popen[bytes]", data: bytes) -> dict[str, Any]:
    request, reply = cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))
    request.write(len(data).to_bytes(LENGTH) + data)
    request.flush()
    length = int.from_bytes(_read(reply, LENGTH))
    if length > MAX_ANSWER:
        raise ValueError(f"an answer of {length} bytes")
    answer = json.loads(_read(reply, length))
    if not isinstance(answer, dict):
        raise ValueError("an answer of another form")
    return answer


def _read(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


decoder = Decoder()
"""The decoder of this process."""

atexit.register(decoder.close)
os.register_at_fork(after_in_child=decoder.forget)
