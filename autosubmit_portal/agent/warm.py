"""Warm Autosubmit: processes that have imported it and fork for each command, in a tenth of the time of a new one.

Nothing depends on them. Whoever makes the `pid` of a run directory runs its command, so a command that a warm process
has not begun in time is started as any other, whatever became of the process.
"""

import os
import pkgutil
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent import launcher
from autosubmit_portal.agent.run_directory import RunDirectory

# It imports nothing from the folder that it is started in.
_TEXT = "import sys; sys.path[:1] == [''] and sys.path.pop(0)\n" + (
    pkgutil.get_data(__package__, "warm_process.py") or b""
).decode()
_CHANNEL, _READY = 3, b"ready"
_PYTHON = re.compile(r"python[\d.]*")
_MOST_FIRST_LINE = 256
IDLE_SECONDS = 900.0
# An import takes seconds, minutes on a file system that is slow.
IMPORT_SECONDS = 300.0
# It takes 0.05 s; a machine with nothing left to give starts it as a command.
BEGIN_SECONDS = 5.0
# What could not be imported is not tried again at once.
PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Order:
    """A command that is handed over."""

    run: RunDirectory
    environment: Mapping[str, str]
    umask: int
    deadline: float


class WarmAutosubmit:
    """The warm processes of a program, one for each set of variables that its commands have."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._processes: dict[tuple[tuple[str, str], ...], _Process] = {}

    def launch(self, run: RunDirectory, environment: Mapping[str, str], umask: int) -> None:
        """Have a warm process run a command that is prepared; while there is none, start it as any other."""
        process = self._find(environment)
        order = _Order(run, environment, umask, time.monotonic() + BEGIN_SECONDS)
        if not (process and process.take(order)):
            run.launch(environment, umask)

    def tend(self) -> None:
        """Start the commands that no warm process has begun."""
        for process in self._processes.values():
            for order in process.give_back():
                order.run.launch(order.environment, order.umask)

    def _find(self, environment: Mapping[str, str]) -> "_Process | None":
        """Return the process for these variables; start one if there is none. None if there can be none."""
        self.tend()
        key = tuple(sorted(environment.items()))
        process = self._processes.get(key)
        if process and (not process.is_gone or time.monotonic() < process.may_come_back_at):
            return process
        interpreter = find_interpreter(self._program, environment.get("PATH", ""))
        if not interpreter:
            return None
        self._processes[key] = _Process([*interpreter, "-c", _TEXT, str(self._program)], environment, self._folder)
        return self._processes[key]


class _Process:
    """One warm process."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        # A file, as the output of a command is: the streams that Autosubmit takes at its import write to it in pieces.
        self._printed = tempfile.TemporaryFile(dir=folder)
        streams = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        copies = [(os.POSIX_SPAWN_DUP2, self._printed.fileno(), number) for number in (1, 2)]
        channel = (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CHANNEL)
        with theirs:
            words = [*argv, str(folder), f"{IDLE_SECONDS}"]
            self._pid = launcher.spawn(words, environment, [*streams, *copies, channel])
        self._orders: dict[str, _Order] = {}
        self._is_ready = False
        self._import_deadline = time.monotonic() + IMPORT_SECONDS
        self.is_gone = False
        self.may_come_back_at = 0.0

    def take(self, order: _Order) -> bool:
        """Hand over a command; return False if it is known that it will not be run."""
        if self.is_gone or not self._is_ready:
            return False
        try:
            self._channel.send(os.fsencode(f"{order.umask:04o} {order.run.path}"))
        except OSError:
            return False
        self._orders[order.run.path.name] = order
        return True

    def give_back(self) -> list[_Order]:
        """Return the commands that were not begun in time."""
        self._read_answers()
        now = time.monotonic()
        is_late = any(order.deadline < now for order in self._orders.values())
        if not self.is_gone and (is_late or (not self._is_ready and self._import_deadline < now)):
            launcher.kill(self._pid)
            self._end()
        orders = list(self._orders.values()) if self.is_gone else []
        self._orders = {} if self.is_gone else self._orders
        return orders

    def _read_answers(self) -> None:
        while not self.is_gone:
            try:
                answer = self._channel.recv(_MOST_FIRST_LINE)
            except BlockingIOError:
                return
            except OSError:
                answer = b""
            if not answer:
                self._end()
            elif answer == _READY:
                self._is_ready = True
            else:
                self._orders.pop(os.fsdecode(answer), None)

    def _end(self) -> None:
        """Note that the process is gone; one that never was ready tells why."""
        self.is_gone = True
        self._channel.close()
        if not self._is_ready:
            self.may_come_back_at = time.monotonic() + PAUSE_SECONDS
            self._printed.seek(0)
            print(f"There is no warm Autosubmit:\n{self._printed.read().decode(errors='replace')}", file=sys.stderr)
        self._printed.close()


def find_interpreter(program: Path, path: str) -> list[str]:
    """Return what the kernel and `env` would run a program with, and its options; nothing if that is no Python."""
    with program.open("rb") as file:
        first = os.fsdecode(file.readline(_MOST_FIRST_LINE))
    words = first.removeprefix("#!").strip().split(None, 1) if first.startswith("#!") else []
    if words and Path(words[0]).name == "env":
        words = [found for found in map(lambda name: shutil.which(name, path=path), words[1:]) if found]
    return words if words and _PYTHON.fullmatch(Path(words[0]).name) else []
