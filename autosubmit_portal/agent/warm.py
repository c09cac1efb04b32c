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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent import launcher
from autosubmit_portal.agent.run_directory import RunDirectory

# It imports nothing from the folder that it is started in.
_TEXT = (
    "import sys; sys.path[:1] == [''] and sys.path.pop(0)\n"
    + (pkgutil.get_data(__package__, "warm_process.py") or b"").decode()
)
_CHANNEL, _READY = 3, b"ready"
_PYTHON = re.compile(r"python[\d.]*")
_MOST_FIRST_LINE = 256
_MOST_ANSWER_BYTES = 256
_MOST_TOLD_BYTES = 2000
IDLE_SECONDS = 900.0
# An import takes seconds, minutes on a file system that is slow.
IMPORT_SECONDS = 300.0
# It takes 0.05 s; what takes this long hangs, or the machine has nothing left to give.
BEGIN_SECONDS = 10.0
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
    """The warm processes, one for each program and each set of variables that its commands have."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[tuple[str, frozenset[tuple[str, str]]], _WarmProcess] = {}

    def launch(self, run: RunDirectory, environment: Mapping[str, str], umask: int) -> None:
        """Have a warm process run a command that is prepared; while there is none, start it as any other.

        Whatever may be a run is always started so: it lives for months.
        """
        self.tend()
        with suppress(OSError):
            argv = run.read_argv()
            process = self._find(argv[0], environment, umask) if "run" not in argv[1:] else None
            if process and process.take(_Order(run, environment, umask, time.monotonic() + BEGIN_SECONDS)):
                return
        run.launch(environment, umask)

    def tend(self) -> None:
        """Start the commands that no warm process has begun."""
        for process in self._processes.values():
            for order in process.give_back():
                with suppress(OSError):  # one that cannot be started has not started, which a look tells
                    order.run.launch(order.environment, order.umask)

    def _find(self, program: str, environment: Mapping[str, str], umask: int) -> "_WarmProcess | None":
        """Return the process for these commands, which is started if there is none; None if there can be none."""
        key = program, frozenset(environment.items())
        process = self._processes.get(key)
        if process and (process.is_alive or time.monotonic() < process.may_come_back_at):
            return process
        interpreter = find_interpreter(Path(program), environment.get("PATH", ""))
        if not interpreter:
            return None
        argv = [*interpreter, "-c", _TEXT, program, str(self._folder), f"{umask:04o}", str(IDLE_SECONDS)]
        self._processes[key] = _WarmProcess(argv, environment, self._folder)
        return self._processes[key]


class _WarmProcess:
    """One warm process, as the agent sees it."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.is_alive = True
        self.may_come_back_at = 0.0
        self._is_ready = False
        self._import_deadline = time.monotonic() + IMPORT_SECONDS
        self._orders: dict[str, _Order] = {}
        # A file, as the output of a command is, so that its streams write in the same pieces.
        self._printed = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as the process
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        with theirs:
            streams = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *((os.POSIX_SPAWN_DUP2, self._printed.fileno(), number) for number in (1, 2)),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CHANNEL),
            ]
            self._pid = launcher.spawn(argv, environment, streams)

    def take(self, order: _Order) -> bool:
        """Hand over a command; return False if this process certainly does not run it."""
        if not (self.is_alive and self._is_ready):
            return False
        try:
            self._channel.send(os.fsencode(f"{order.umask:04o} {order.run.path}"))
        except OSError:
            return False
        self._orders[order.run.path.name] = order
        return True

    def give_back(self) -> list[_Order]:
        """Return the commands that it was handed and has not begun in time; a process that hangs is ended."""
        self._read_answers()
        deadlines = [order.deadline for order in self._orders.values()]
        if not self._is_ready:
            deadlines.append(self._import_deadline)
        if self.is_alive and any(deadline < time.monotonic() for deadline in deadlines):
            launcher.kill(self._pid)
            self._end()
        orders: list[_Order] = []
        if not self.is_alive:
            orders, self._orders = list(self._orders.values()), {}
        return orders

    def _read_answers(self) -> None:
        while self.is_alive:
            try:
                answer = self._channel.recv(_MOST_ANSWER_BYTES)
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
        """Note that the process is gone; of one that never was ready, tell why."""
        self.is_alive = False
        self._channel.close()
        with self._printed:
            if not self._is_ready:
                self.may_come_back_at = time.monotonic() + PAUSE_SECONDS
                start = max(0, os.fstat(self._printed.fileno()).st_size - _MOST_TOLD_BYTES)
                printed = os.pread(self._printed.fileno(), _MOST_TOLD_BYTES, start).decode("utf-8", "replace")
                with suppress(OSError):  # nobody listens
                    print(f"Autosubmit is not kept warm:\n{printed}", file=sys.stderr)


def find_interpreter(program: Path, path: str) -> list[str]:
    """Return the Python that runs a program by its first line, and the option of that; nothing if it is no Python's."""
    with program.open("rb") as file:
        first = os.fsdecode(file.readline(_MOST_FIRST_LINE))
    words = first[2:].strip().split(None, 1) if first.startswith("#!") else []
    if words and Path(words[0]).name == "env":
        words = [shutil.which("".join(words[1:]), path=path) or ""]
    return words if words and _PYTHON.fullmatch(Path(words[0]).name) else []
