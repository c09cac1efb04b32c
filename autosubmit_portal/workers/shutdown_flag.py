"""Tell all processes of a worker that it is being stopped, so that none of them delays it.

The guard of a cluster learns of SIGTERM, but tells only its pusher, and waits for the tasks that are under way
(`django_q.cluster.Sentinel.stop`). The other processes are forked from the guard and share this byte of memory, which
needs no lock.
"""

import mmap

_asked = mmap.mmap(-1, 1)


def ask() -> None:
    """Ask the processes of this worker to hand over what others can do."""
    _asked[0] = 1


def is_asked() -> bool:
    """Return whether the worker of this process is being stopped; False outside of workers."""
    return _asked[0] == 1
