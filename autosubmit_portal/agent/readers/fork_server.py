"""Forks readers and watchers: a process that has imported them already, which takes longer than most readings.

It obeys its agent through a socket, on which each message is JSON:

| from | message | means |
| --- | --- | --- |
| agent | `{"start": n, "module": "…", "arguments": […]}` | fork number n |
| agent | `{"kill": n}` | end it |
| process | `{"started": n, "pid": …}` | it lives |
| server | `{"gone": n}` | it was killed and is gone, or could not be forked |

With an order to start come descriptors: what the process reads from, what it writes to, and more, whose numbers are its
last arguments. When the agent has gone, all that it has forked ends.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

READER = "autosubmit_portal.agent.readers.reader"
WATCHER = "autosubmit_portal.agent.watch.child"
MOST_BYTES, MOST_DESCRIPTORS = 16_384, 8
# One that was killed may take a while to end.
_LOOK_SECONDS = 0.02


def main(descriptor: str) -> None:
    """Serve until the other end of the socket is closed."""
    for module in (READER, WATCHER):
        importlib.import_module(module)
    gc.freeze()  # what is never looked at again stays shared
    with socket.socket(fileno=int(descriptor)) as agent:
        ForkServer(agent).serve()


class ForkServer:
    """The processes that were forked, by number, and those of them that were killed."""

    def __init__(self, agent: socket.socket) -> None:
        self._agent = agent
        self._pids: dict[int, int] = {}
        self._dying: set[int] = set()

    def serve(self) -> None:
        """Obey until the agent has gone."""
        with suppress(OSError):  # the agent has ended before it took all answers
            while True:
                ready = select.select([self._agent], [], [], _LOOK_SECONDS if self._dying else None)[0]
                if ready and not self._obey():
                    break
                self._bury()
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)

    def _obey(self) -> bool:
        """Take an order; return whether there was one."""
        data, descriptors, _, _ = socket.recv_fds(self._agent, MOST_BYTES, MOST_DESCRIPTORS)
        if not data:
            return False
        order = json.loads(data)
        if "kill" in order:
            self._kill(order["kill"])
        else:
            self._fork(order, descriptors)
        return True

    def _fork(self, order: dict[str, Any], descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError:
            self._tell_gone(order["start"])
        else:
            if not pid:
                _begin(self._agent, order, descriptors)
            self._pids[order["start"]] = pid
        for descriptor in descriptors:
            os.close(descriptor)

    def _kill(self, number: int) -> None:
        if number in self._pids:
            os.kill(self._pids[number], signal.SIGKILL)  # until it is buried, nobody else gets its number
            self._dying.add(number)

    def _bury(self) -> None:
        for number in tuple(self._dying):
            if os.waitpid(self._pids[number], os.WNOHANG)[0]:
                self._dying.remove(number)
                del self._pids[number]
                self._tell_gone(number)

    def _tell_gone(self, number: int) -> None:
        self._agent.send(json.dumps({"gone": number}).encode())


def _begin(agent: socket.socket, order: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Be the process that was ordered."""
    try:
        module, (given, made, *more) = order["module"], descriptors
        os.setsid()
        with suppress(OSError):
            Path("/proc/self/comm").write_text(f"portal {module.rpartition('.')[2]}")
        agent.send(json.dumps({"started": order["start"], "pid": os.getpid()}).encode())
        agent.close()
        for old, new in ((given, 0), (made, 1)):
            os.dup2(old, new)
            os.close(old)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        importlib.import_module(module).main(*order["arguments"], *map(str, more))
        os._exit(0)
    finally:
        os._exit(1)
