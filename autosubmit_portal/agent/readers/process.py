"""A reader, or a watcher, as the agent sees it: a child process that is asked, heard without waiting, and killed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from autosubmit_portal.agent.protocol import ProtocolError, strict_json
from autosubmit_portal.agent.protocol.fields import take_number
from autosubmit_portal.agent.protocol.limits import MOST_MESSAGE_BYTES
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.limits import LONGEST_READING_SECONDS
from autosubmit_portal.agent.readers.messages import HEAD, MOST_DATA_BYTES, pack

# The archive, or the folder of the packages.
_ROOT = str(Path(__file__).parents[3])
_CODE = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2]).main(*sys.argv[3:])
"""
READER = "autosubmit_portal.agent.readers.reader"
_PIECE_BYTES = 1024 * 1024
_KEPT_MEMORY = 256 * 1024 * 1024

Heard = tuple[Message, bytes]


class Process:
    """Is asked one thing at a time. What it says is believed no more than what a gateway says.

    `seconds` is how long it asks to be waited for, if it finds that the files are large.
    """

    def __init__(self, folder: Path, *more: str, module: str = READER, shared: Sequence[int] = ()) -> None:
        """Start one, which gets the `shared` descriptors."""
        self.is_ready = False
        self.niceness = 0
        self.seconds = 0
        self._folder = folder
        self._heard = bytearray()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, _ROOT, module, str(folder), *more],
            bufsize=0,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=shared,
            start_new_session=True,
        )
        self._input, self._output = cast("tuple[IO[bytes], IO[bytes]]", (self._process.stdin, self._process.stdout))
        os.set_blocking(self._output.fileno(), False)

    def fileno(self) -> int:
        """Return the descriptor on which it is heard."""
        return self._output.fileno()

    def ask(self, request: Message) -> None:
        """Ask; a request is so short that the pipe takes it. Raises OSError when the process is gone."""
        self.seconds = 0
        self._input.write(pack(request))

    def hear(self) -> Heard | None:
        """Return the answer if it is whole by now. Raises EOFError when the process is gone or says nonsense."""
        try:
            piece = os.read(self.fileno(), _PIECE_BYTES)
        except BlockingIOError:
            return None
        if not piece:
            raise EOFError
        self._heard += piece
        heard = self._take_message()
        if heard and not self.is_ready:
            self.is_ready, heard = True, self._take_message()
        if heard and "seconds" in heard[0]:
            self.seconds, heard = _take_seconds(heard[0]), self._take_message()
        if heard and self._heard:
            raise EOFError
        return heard

    def is_large(self) -> bool:
        """Return whether it holds a lot of memory, which it had better give back by ending."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") > _KEPT_MEMORY

    def read_used(self) -> float:
        """Return the seconds of processor that it has used; 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def yield_to_others(self, niceness: int) -> None:
        """Compute less while others do, from now on: the kernel takes that back from root alone."""
        if niceness > self.niceness:
            self.niceness = niceness
            os.setpriority(os.PRIO_PROCESS, self._process.pid, niceness)

    def kill(self) -> None:
        """End the process; `is_gone` says when it has."""
        self._process.kill()
        for pipe in (self._input, self._output):
            pipe.close()

    def is_gone(self) -> bool:
        """Return whether the process has ended, and remove what it has left. One that hangs on a disk takes long."""
        if self._process.poll() is None:
            return False
        for left in self._folder.glob(f"{self._process.pid}-*"):
            shutil.rmtree(left, ignore_errors=True)
        return True

    def _take_message(self) -> Heard | None:
        """Return the first message that was heard, if it is whole."""
        if len(self._heard) < HEAD.size:
            return None
        length, count = HEAD.unpack_from(self._heard)
        if length > MOST_MESSAGE_BYTES or count > MOST_DATA_BYTES:
            raise EOFError
        begin, end = HEAD.size + length, HEAD.size + length + count
        if len(self._heard) < end:
            return None
        try:
            message = strict_json.decode(bytes(self._heard[HEAD.size : begin]))
        except ProtocolError as error:
            raise EOFError from error
        data = bytes(self._heard[begin:end])
        del self._heard[:end]
        return message, data


def _take_seconds(message: Message) -> int:
    """Return how long a reader asks to be waited for."""
    try:
        return take_number(message, "seconds", most=LONGEST_READING_SECONDS)
    except ProtocolError as error:
        raise EOFError from error
