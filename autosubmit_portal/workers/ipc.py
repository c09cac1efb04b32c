"""Communication between the processes of a worker, without locks that a killed process would keep.

django-q2 hands out tasks by `multiprocessing.Queue`: the process that waits for a task holds the lock of the queue. If
it is killed there (out of memory, for one), all others wait for that lock for ever, and the guard takes them for
alive: https://github.com/django-q2/django-q2/issues/23, and /339 for results. The guard itself hangs when a process
dies with the lock of its timer. Here the kernel hands each message whole to one reader, and a timer is one number.
"""

import pickle
import select
import socket
import time
from contextlib import nullcontext
from multiprocessing.sharedctypes import RawValue
from typing import Any

MOST_BYTES = 1 << 20
FULL_SECONDS = 0.01
# The reader may have died. Its replacement is started by a process that must not block here meanwhile.
SEND_SECONDS = 5.0


class MessageQueue:
    """The part of `multiprocessing.Queue` that django-q2 uses. Make it before forking the processes that share it."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
        self._writer.settimeout(SEND_SECONDS)

    def put(self, item: Any) -> None:
        """Add a message; with a `maxsize`, wait until the last one is taken. Raises TimeoutError when nobody reads."""
        while self._maxsize and not self.empty():
            time.sleep(FULL_SECONDS)
        self._writer.send(pickle.dumps(item))

    def get(self) -> Any:
        """Wait for a message and take it."""
        return pickle.loads(self._reader.recv(MOST_BYTES))  # noqa: S301 # from our own process tree

    def empty(self) -> bool:
        """Return whether no message waits; always True after `close`."""
        return self._reader.fileno() < 0 or not select.select([self._reader], [], [], 0)[0]

    def qsize(self) -> int:
        """Return 1 for any number of messages: they are not counted."""
        return int(not self.empty())

    def close(self) -> None:
        """Close it for this process. Messages are with the kernel already and go to the other processes."""
        self._reader.close()
        self._writer.close()

    __del__ = close

    def join_thread(self) -> None:
        """Do nothing: there is no thread."""


class Timer:
    """The part of `multiprocessing.Value` that django-q2 uses: the seconds that a task may still take."""

    def __init__(self, typecode: str, value: float) -> None:
        self._shared = RawValue(typecode, value)

    @property
    def value(self) -> float:
        """The number that was written last."""
        return float(self._shared.value)

    @value.setter
    def value(self, value: float) -> None:
        self._shared.value = value

    def get_lock(self) -> nullcontext[None]:
        """Return a lock that never blocks.

        If a task ends while the guard counts down, an idle worker may keep the old count: it is then replaced while it
        is idle, which harms nothing.
        """
        return nullcontext()


def install() -> None:
    """Make the clusters of this process use these classes."""
    from django_q import cluster

    vars(cluster).update(Queue=MessageQueue, Value=Timer)
