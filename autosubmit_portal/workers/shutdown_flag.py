"""Telling the processes of a worker that it is being stopped, so that none of them keeps it waiting.

The guard of a cluster gets to know of SIGTERM, but tells only its pusher. Its other processes are forked from it and
share this byte of memory with it. There is no lock to it that a killed process could take along.
"""

import mmap

_asked = mmap.mmap(-1, 1)


def ask() -> None:
    """Ask this worker's processes to leave what others can do."""
    _asked[0] = 1


def is_asked() -> bool:
    """Answer whether the worker that this process belongs to is being stopped; False outside of workers."""
    return _asked[0] == 1
