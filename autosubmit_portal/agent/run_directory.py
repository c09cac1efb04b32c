"""One command and all that is known of it, in a directory of its own.

It holds `request` (the digest of what was asked, and the host that took it), `argv`, `launch.sh`, and, as the command
goes on, `pid`, `output` and `exit_status`. Whoever makes `pid` decides: the launcher, which then runs the command, or
`give_up`, after which it never runs. So nothing depends on there being one process that starts commands.
"""

import hashlib
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from autosubmit_portal.agent import accounts, files, launcher
from autosubmit_portal.agent.host import Identity, Place, read_identity, read_process_start
from autosubmit_portal.sentences import say

MOST_OUTPUT_BYTES = 64 * 1024 * 1024
KEPT_OUTPUT_BYTES = 8 * 1024 * 1024
# For what tells that a command has begun, and how it has ended.
ROOM_BYTES = 64 * 1024
# Autosubmit saves its job list before it ends; that takes seconds on ten thousand jobs.
PATIENCE_SECONDS = 15.0

GONE = say("Its launcher is gone without an exit status.")
_GIVEN_UP = "given up"
# Runs of before the identity was kept have no more than the first two words.
_PID = re.compile(r"(\d+) (\d*)(?: (\S+) (\S+) (\S+))?")
_REQUEST = re.compile(r"([0-9a-f]+) (\S+) (\S+) (\S+)")
_ESCAPED = re.compile(r"\\(.)")
_STATUS = re.compile(r"\d{1,3}")


class State(Enum):
    """What is known of a command. Only ENDED and GIVEN_UP are final.

    Of one that is GONE nothing will be known any more, but it has started here; UNKNOWN is no evidence of anything.
    """

    NOT_STARTED = "not started"
    GIVEN_UP = "given up"
    ALIVE = "alive"
    ENDED = "ended"
    GONE = "gone"
    UNKNOWN = "unknown"


_FORGOTTEN = say("It has ended, and its portal let it be forgotten.")


@dataclass(frozen=True, slots=True)
class Look:
    """The result of a look at a command; `why` is the evidence where it is not the command itself that tells."""

    state: State
    exit_status: int | None = None
    why: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self.state is State.ALIVE

    @property
    def is_forgotten(self) -> bool:
        """Whether its end was told to a portal, which let it be forgotten."""
        return self.why == _FORGOTTEN

    @property
    def has_started(self) -> bool:
        """Whether it goes on, or went on once, or may have."""
        return self.state not in (State.NOT_STARTED, State.GIVEN_UP)


_FROM_AFAR = {
    Place.ELSEWHERE: Look(State.UNKNOWN, why=say("It was started on another host, or in another PID namespace.")),
    Place.BEFORE_RESTART: Look(State.ENDED, why=say("The host was restarted since.")),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of the output from `offset`, of `size` in all; each time the oldest is dropped makes a new generation."""

    data: bytes
    generation: int
    offset: int
    size: int


class RunDirectory:
    """Starts, looks at and ends one command. Any process may do any of it at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self, digest: str) -> bool:
        """Take the directory for a request; return False if it is another one's."""
        if files.link_new(self.path / "request", f"{digest} {read_identity()}\n"):
            return True
        kept = self._read_request()
        return kept is not None and kept[1] == digest

    def prepare(self, argv: Sequence[str], account: str) -> None:
        """Write what the launcher needs. `account` is the one that the argv makes it run as; blank is our own."""
        if account:
            files.replace(self.path / "account", account.encode())
        lines = (f"{_escape(argument)}\n" for argument in argv)
        files.replace(self.path / "argv", "".join(lines).encode("utf-8", "surrogateescape"))
        files.replace(self.path / "launch.sh", launcher.SCRIPT)
        (self.path / "output").touch(mode=0o600)
        # A launcher without room starts nothing, and cannot say so. Whoever starts the same key may have taken it away.
        files.replace(self.path / "room", bytes(ROOM_BYTES))
        (self.path / "room").unlink(missing_ok=True)

    def read_argv(self) -> list[str]:
        """Return the command that was prepared."""
        text = (self.path / "argv").read_bytes().decode("utf-8", "surrogateescape")
        return [_ESCAPED.sub(_unescape, line) for line in text.split("\n")[:-1]]

    def launch(self, environment: Mapping[str, str], umask: int) -> None:
        """Start a launcher; if there is another or somebody gives up, one of them makes `pid` and only that counts."""
        launcher.launch(self.path / "launch.sh", self.path, environment, umask)

    def look(self) -> Look:
        """Ask the kernel whether the launcher is still the process that it was, then read the exit status.

        In this order, because a launcher that is gone has left its exit status, if it could.
        """
        launcher.reap()
        look = self._look_at_process()
        status = files.read_text(self.path / "exit_status")
        if _STATUS.fullmatch(status):
            return Look(State.ENDED, int(status))
        return look

    def open_launcher(self) -> int | None:
        """Return a descriptor that is ready for reading when the launcher has ended (pidfd_open(2)), to be closed.

        None where none goes on here. Kernels before 5.3 have no such thing, nor has a Python that was built on one.
        """
        command = self._read_pid()
        try:
            opened = os.pidfd_open(int(command[1])) if command else None
        except (AttributeError, OSError):
            return None
        if opened is not None and not self.look().is_alive:  # by now the number may be that of another process
            os.close(opened)
            return None
        return opened

    def give_up(self) -> bool:
        """Make sure that a command that has not started never will; return False if it has or may have started."""
        if self.look().state is State.NOT_STARTED:
            try:
                files.link_new(self.path / "pid", _GIVEN_UP)
            except OSError:
                self._give_up_without_room()
            files.sync_folder(self.path.parent)
        return self.look().state is State.GIVEN_UP

    def forget(self) -> None:
        """Remove all but what keeps the command from being started again."""
        files.link_new(self.path / "pid", _GIVEN_UP)
        files.link_new(self.path / "forgotten", "")
        for file in self.path.iterdir():
            if file.name not in ("pid", "forgotten"):
                file.unlink(missing_ok=True)  # another process may be forgetting it too

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing else is left than that there was a command."""
        return (self.path / "forgotten").exists()

    def end(self) -> None:
        """End the command and its process group: SIGTERM first, later SIGKILL. Returns at once; call it again."""
        if self.look().state is not State.ALIVE:
            return
        now = time.monotonic()  # the same for all processes of a host
        if files.link_new(self.path / "ending", f"{now}"):
            self._signal(signal.SIGTERM)
        elif now - float(files.read_text(self.path / "ending") or 0) > PATIENCE_SECONDS:
            self._signal(signal.SIGKILL)

    def interrupt(self, pid: int, mark: str) -> bool:
        """Send SIGINT to another process that is older than the command, once for each mark; return whether it was."""
        command, started = self._read_pid(), read_process_start(pid)
        if not (started and command and command[2]) or int(started) >= int(command[2]):
            return False
        if not files.link_new(self.path / f"interrupt-{mark}", ""):
            return False
        accounts.send_signal(signal.SIGINT, pid, files.read_text(self.path / "account"))
        return True

    def read_output(self, offset: int, limit: int, generation: int | None = None) -> Piece:
        """Return a part of the output; from its beginning if another generation was asked for."""
        current = self._read_generation()
        if generation not in (None, current):
            offset = 0
        try:
            with (self.path / "output").open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(min(offset, size))
                return Piece(file.read(limit), current, min(offset, size), size)
        except FileNotFoundError:
            return Piece(b"", current, 0, 0)

    def bound_output(self) -> None:
        """Keep the newest part. The command appends, so it goes on at the new end of the file.

        What is read between the two generations belongs to neither.
        """
        size = self.read_output(0, 0).size
        if size <= MOST_OUTPUT_BYTES:
            return
        self._begin_generation()
        kept = self.read_output(size - KEPT_OUTPUT_BYTES, KEPT_OUTPUT_BYTES).data
        os.truncate(self.path / "output", 0)
        with (self.path / "output").open("ab") as file:
            file.write(b"[earlier output was dropped]\n" + kept)
        self._begin_generation()

    def _give_up_without_room(self) -> None:
        """Make `pid` another name of the request, which needs no room; FileNotFoundError where there was none."""
        with suppress(FileExistsError):
            os.link(self.path / "request", self.path / "pid")
        files.sync_folder(self.path)

    def _look_at_process(self) -> Look:
        if self.is_forgotten:
            return Look(State.GONE, why=_FORGOTTEN)
        text = files.read_text(self.path / "pid")
        command, taken_by = _PID.fullmatch(text), self._read_request()
        is_request = taken_by is not None and text == taken_by[0]
        if text == _GIVEN_UP or is_request or self._was_given_up_before(text, is_taken=bool(taken_by)):
            return Look(State.GIVEN_UP)
        identity = _read_identity_of(command, 3) or _read_identity_of(taken_by, 2)
        place = read_identity().locate(identity) if identity else Place.HERE
        return _FROM_AFAR.get(place) or self._look_at_launcher(command)

    def _look_at_launcher(self, command: re.Match[str] | None) -> Look:
        """Tell from the processes of this host."""
        if not command:
            return Look(State.NOT_STARTED)
        if command[2] and read_process_start(int(command[1])) == command[2]:
            return Look(State.ALIVE)
        return Look(State.GONE, why=GONE)

    def _was_given_up_before(self, pid: str, *, is_taken: bool) -> bool:
        """Runs of before the request was kept were given up with an empty `pid`; now a crash may leave one."""
        return not pid and not is_taken and (self.path / "pid").exists()

    def _read_request(self) -> re.Match[str] | None:
        return _REQUEST.fullmatch(files.read_text(self.path / "request"))

    def _read_pid(self) -> re.Match[str] | None:
        return _PID.fullmatch(files.read_text(self.path / "pid"))

    def _signal(self, number: signal.Signals) -> None:
        command = self._read_pid()
        if not command:
            return
        group, account = int(command[1]), files.read_text(self.path / "account")
        # sudo passes all signals on but this one.
        accounts.send_signal(number, -group, account if number is signal.SIGKILL else "")

    def _read_generation(self) -> int:
        text = files.read_text(self.path / "generation")
        return int(text) if text.isdecimal() else 0

    def _begin_generation(self) -> None:
        files.replace(self.path / "generation", f"{self._read_generation() + 1}".encode())


def make_digest(words: Sequence[str]) -> str:
    """Return what tells one request from another."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def _read_identity_of(found: re.Match[str] | None, first: int) -> Identity | None:
    if not found or not found[first]:
        return None
    return Identity(found[first], found[first + 1], found[first + 2])


def _escape(argument: str) -> str:
    return argument.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
