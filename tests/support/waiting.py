"""Waiting for a condition instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds for anything: a busy machine is slower by far than an idle one, and `autosubmit stop` may take 300 by itself.
PATIENCE = 330.0


def wait_for(look: Callable[[], T], *, seconds: float = PATIENCE, is_enough: Callable[[T], bool] = bool) -> T:
    """Call `look` until what it answers is enough, and return that; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.02
    while not is_enough(answer := look()):
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(pause)
        pause = min(1.5 * pause, 0.25)  # who looks all the time slows down what is awaited
    return answer
