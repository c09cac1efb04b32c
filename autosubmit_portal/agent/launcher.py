"""Starts processes in sessions of their own: the launcher of a command outlives us, we need not outlive it."""

import os
import pkgutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# Who starts us may ignore or block these; a run that inherits that cannot be stopped.
_FOR_THE_COMMAND = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

# The text of the launcher, also out of a zip archive. It is read before the process may become another account, which
# need not see the program.
SCRIPT = pkgutil.get_data(__package__, "launch.sh") or b""

# What this process has started and not waited for.
_launched: set[int] = set()


def launch(script: Path, directory: Path, environment: Mapping[str, str], umask: int) -> int:
    """Start the launcher and return its pid; nothing of ours waits for it or holds its output."""
    argv = ["/bin/sh", str(script), str(directory), f"{umask:04o}"]
    return spawn(argv, environment, [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)])


def spawn(argv: list[str], environment: Mapping[str, str], streams: Sequence[tuple[Any, ...]]) -> int:
    """Start a program in a session of its own and return its pid.

    `posix_spawn` and not `subprocess`, which would run Python between fork and exec to reset the signals: with more
    than one thread that may hang.
    """
    reap()
    pid = os.posix_spawn(
        argv[0], argv, environment, file_actions=streams, setsid=True, setsigdef=_FOR_THE_COMMAND, setsigmask=()
    )
    _launched.add(pid)
    return pid


def kill(pid: int) -> None:
    """Kill what this process has started; one that is not waited for yet keeps its pid."""
    if pid in _launched:
        os.kill(pid, signal.SIGKILL)


def reap() -> None:
    """Wait for what has ended, so that it is gone."""
    for pid in tuple(_launched):
        with suppress(ChildProcessError):
            if not os.waitpid(pid, os.WNOHANG)[0]:
                continue
        _launched.discard(pid)
