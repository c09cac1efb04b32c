"""A reader, or a watcher, as the agent sees it: a child process that is asked, heard without waiting, and killed."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from autosubmit_portal.agent.protocol import ProtocolError, strict_json
from autosubmit_portal.agent.protocol.fields import take_number
from autosubmit_portal.agent.protocol.limits import MOST_MESSAGE_BYTES
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers import forks
from autosubmit_portal.agent.readers.fork_server import READER
from autosubmit_portal.agent.readers.limits import LONGEST_READING_SECONDS
from autosubmit_portal.agent.readers.messages import HEAD, MOST_DATA_BYTES, pack

_PIECE_BYTES = 1024 * 1024
_KEPT_MEMORY = 256 * 1024 * 1024

Heard = tuple[Message, bytes]


class Process:
    """Is asked one thing at a time. What it says is believed no more than what a gateway says.

    `seconds` is how long it asks to be waited for, if it finds that the files are large.
    """

    def __init__(self, folder: Path, *more: str, module: str = READER, shared: Sequence[int] = ()) -> None:
        """Have one forked, which is told the numbers that the `shared` descriptors have there. Raises OSError."""
        self.is_ready = False
        self.niceness = 0
        self.seconds = 0
        self._folder = folder
        self._heard = bytearray()
        given, self._input = os.pipe()
        self._output, made = os.pipe()
        try:
            self._fork = forks.start(module, [str(folder), *more], [given, made, *shared])
        except OSError:
            self._close()
            raise
        finally:
            os.close(given)
            os.close(made)
        os.set_blocking(self._output, False)

    @property
    def pid(self) -> int:
        """Its number for the kernel; 0 until it lives."""
        return self._fork.find_pid()

    def fileno(self) -> int:
        """Return the descriptor on which it is heard."""
        return self._output

    def ask(self, request: Message) -> None:
        """Ask; a request is so short that the pipe takes it. Raises OSError when the process is gone."""
        self.seconds = 0
        os.write(self._input, pack(request))

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
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") > _KEPT_MEMORY

    def read_used(self) -> float:
        """Return the seconds of processor that it has used; 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def yield_to_others(self, niceness: int) -> None:
        """Compute less while others do, from now on: the kernel takes that back from root alone."""
        if niceness > self.niceness and self.pid:
            self.niceness = niceness
            os.setpriority(os.PRIO_PROCESS, self.pid, niceness)

    def kill(self) -> None:
        """End the process; `is_gone` says when it has."""
        self._fork.kill()
        self._close()

    def is_gone(self) -> bool:
        """Return whether the process has ended, and remove what it has left. One that hangs on a disk takes long."""
        if not self._fork.has_gone():
            return False
        for left in self._folder.glob(f"{self.pid}-*"):
            shutil.rmtree(left, ignore_errors=True)
        return True

    def _close(self) -> None:
        os.close(self._input)
        os.close(self._output)

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
