"""End a process when its parent is gone, even after SIGKILL: nobody else would end it.

django-q2 looks after its processes from above only: `django_q.cluster.Sentinel.guard` starts again what died, but a
worker or a pusher does not see that its guard has died, and goes on.

Linux only; elsewhere, whoever kills a process with SIGKILL must end its children. The signal goes to one process and
not to its own children, so that commands of actions go on.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import parent_process, util

PR_SET_PDEATHSIG = 1
# Loaded now, because loading a library between fork and exec is not safe.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def signal_on_parent_death(number: signal.Signals) -> Callable[[], None]:
    """Return a function that a child of this process calls first: it then gets the signal when this process ends."""
    parent = os.getpid()
    return lambda: _request_signal(parent, number)


def signal_processes_on_parent_death(number: signal.Signals) -> None:
    """Make each `multiprocessing` process below this one get the signal when its own parent ends."""
    util.register_after_fork(parent_process, lambda _: _request_signal_of_process(number))


def _request_signal_of_process(number: signal.Signals) -> None:
    parent = parent_process()
    if parent and parent.pid:
        _request_signal(parent.pid, number)


def _request_signal(parent: int, number: signal.Signals) -> None:
    if _prctl is None:
        return
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the request
        os.kill(os.getpid(), number)
