"""The processes that an agent has forked for it, and the server that forks them: see `fork_server`."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from autosubmit_portal.agent.readers import fork_server

# The archive, or the folder of the packages.
_ROOT = str(Path(__file__).parents[3])
_CODE = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2]).main(*sys.argv[3:])
"""


@dataclass(eq=False, slots=True)
class Fork:
    """A process; `pid` is 0 until it lives."""

    server: "_Server"
    number: int
    pid: int = 0
    is_gone: bool = False

    def find_pid(self) -> int:
        """Return its number for the kernel; 0 if it does not live yet."""
        self.server.hear()
        return self.pid

    def kill(self) -> None:
        """End it; `has_gone` says when it has."""
        self.server.kill(self)

    def has_gone(self) -> bool:
        """Answer whether it was killed and has ended. One that hangs on a disk takes long."""
        self.server.hear()
        return self.is_gone


@dataclass(slots=True)
class _Server:
    """A fork server, and the ends of all that was heard of what it has forked."""

    process: "subprocess.Popen[bytes]"
    socket: socket.socket
    forks: dict[int, Fork] = field(default_factory=dict)
    is_alive: bool = True

    def start(self, module: str, arguments: Sequence[str], descriptors: Sequence[int]) -> Fork:
        """Order a process. Raises OSError."""
        number = next(_numbers)
        order = {"start": number, "module": module, "arguments": arguments}
        socket.send_fds(self.socket, [json.dumps(order).encode()], [*descriptors])
        fork = self.forks[number] = Fork(self, number)
        return fork

    def kill(self, fork: Fork) -> None:
        """Order its end."""
        with suppress(OSError):  # it has gone: `hear` tells
            self.socket.send(json.dumps({"kill": fork.number}).encode())

    def hear(self) -> None:
        """Take in what is said. Of a server that has ended nothing is expected to live on."""
        while self.is_alive:
            try:
                data = self.socket.recv(fork_server.MOST_BYTES)
            except BlockingIOError:
                return
            except OSError:  # it has ended before it took all orders
                data = b""
            self._take(data)

    def _take(self, data: bytes) -> None:
        if not data:
            self.end()
            return
        said = json.loads(data)
        if "gone" in said:
            self.forks.pop(said["gone"]).is_gone = True
        else:
            self.forks[said["started"]].pid = said["pid"]

    def end(self) -> None:
        """End it, and what it has forked."""
        self.is_alive = False
        self.socket.close()
        self.process.kill()
        self.process.wait()
        for fork in self.forks.values():
            fork.is_gone = True
            if fork.pid:
                with suppress(ProcessLookupError):
                    os.kill(fork.pid, signal.SIGKILL)
        self.forks.clear()


_numbers = count(1)
_current: list[_Server] = []


def start(module: str, arguments: Sequence[str], descriptors: Sequence[int]) -> Fork:
    """Have a process forked, by the server of this process; without one that lives, start it. Raises OSError."""
    for server in _current:
        server.hear()
    _current[:] = [server for server in _current if server.is_alive] or [_begin_to_serve()]
    return _current[0].start(module, arguments, descriptors)


def _begin_to_serve() -> _Server:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    try:
        with its:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _CODE, _ROOT, fork_server.__name__, str(its.fileno())],
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
    except OSError:
        ours.close()
        raise
    made = _Server(process, ours)
    atexit.register(made.end)
    return made
