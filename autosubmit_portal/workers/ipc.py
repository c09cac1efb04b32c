"""What the processes of a worker share, without a lock that a killed one could take along.

django-q2 hands tasks out by `multiprocessing.Queue`: whoever waits for a task holds its lock. If that process is
killed there, by the kernel that is out of memory for one, all others wait for that lock for ever, and the guard sees
them alive. So is the guard itself stuck when a process dies with the lock of its timer. Here the kernel hands each
message to one reader as a whole, and a timer is a number that is written as a whole.
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
# Who should read is gone, and whoever replaces it must not find us waiting with what it needs.
SEND_SECONDS = 5.0


class MessageQueue:
    """As much of `multiprocessing.Queue` as django-q2 uses; made before the processes that share it are forked."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
        self._writer.settimeout(SEND_SECONDS)

    def put(self, item: Any) -> None:
        """Add a message, once the last one is taken if there is a `maxsize`; TimeoutError when nobody reads."""
        while self._maxsize and not self.empty():
            time.sleep(FULL_SECONDS)
        self._writer.send(pickle.dumps(item))

    def get(self) -> Any:
        """Wait for a message and take it."""
        return pickle.loads(self._reader.recv(MOST_BYTES))  # noqa: S301 # from our own process tree

    def empty(self) -> bool:
        """Answer whether nothing waits to be taken; nothing does that is any business of who has closed it."""
        return self._reader.fileno() < 0 or not select.select([self._reader], [], [], 0)[0]

    def qsize(self) -> int:
        """Return 1 for any number of messages: they are not counted."""
        return int(not self.empty())

    def close(self) -> None:
        """Leave it to the others. What was put is with the kernel already and goes to them."""
        self._reader.close()
        self._writer.close()

    __del__ = close

    def join_thread(self) -> None:
        """Do nothing: there is no thread."""


class Timer:
    """As much of `multiprocessing.Value` as django-q2 uses: seconds that a task may still take."""

    def __init__(self, typecode: str, value: float) -> None:
        self._shared = RawValue(typecode, value)

    @property
    def value(self) -> float:
        """The number, as whoever wrote it last has left it."""
        return float(self._shared.value)

    @value.setter
    def value(self, value: float) -> None:
        self._shared.value = value

    def get_lock(self) -> nullcontext[None]:
        """Return nothing that anybody could wait for.

        A task that ends while the guard counts down may leave the old count to an idle worker: it is replaced, idle,
        when that is over.
        """
        return nullcontext()


def install() -> None:
    """Have the clusters of this process made with these."""
    from django_q import cluster

    vars(cluster).update(Queue=MessageQueue, Value=Timer)
