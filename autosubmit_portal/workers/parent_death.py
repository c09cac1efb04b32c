"""Ending a process once the one that started it is gone, however that ended: nobody else would end it.

Linux only: elsewhere, whoever kills a process with SIGKILL has to look for its children. A tether holds one process and
none of its own children, least of all the commands of actions.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import parent_process, util

PR_SET_PDEATHSIG = 1
# Loaded beforehand: between fork and exec is no time for that.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def tether(number: signal.Signals) -> Callable[[], None]:
    """Return what a child of this process is to call first: it gets the signal when this process is gone."""
    parent = os.getpid()
    return lambda: _tie(parent, number)


def tether_processes(number: signal.Signals) -> None:
    """Have every process of `multiprocessing`, started by this one or by one of those, end with its own parent."""
    util.register_after_fork(parent_process, lambda _: _tie_process(number))


def _tie_process(number: signal.Signals) -> None:
    parent = parent_process()
    if parent and parent.pid:
        _tie(parent.pid, number)


def _tie(parent: int, number: signal.Signals) -> None:
    if _prctl is None:
        return
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # too late: it has ended already
        os.kill(os.getpid(), number)
