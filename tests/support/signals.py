"""A person at a terminal who asks a run again to stop."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# `autosubmit stop` looks every 5 s.
SECONDS_BETWEEN = 15


@contextmanager
def signalled_again(run: "subprocess.Popen[Any]") -> Iterator[None]:
    """Send SIGINT to `run` now and then: Python drops one in forty, and `autosubmit stop` sends one and waits."""
    done = threading.Event()

    def send() -> None:
        while not done.wait(SECONDS_BETWEEN) and run.poll() is None:
            run.send_signal(signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
