"""A reader that says what it is told to say, by default that it is ready, and then does nothing for some seconds."""

import sys
import time
from functools import partial
from pathlib import Path

from autosubmit_portal.agent.readers.messages import pack
from autosubmit_portal.agent.readers.process import Process

READY = pack({"ready": True})


def pretend(said: bytes = READY, seconds: float = 600) -> "partial[Process]":
    """Return what starts such readers."""
    return partial(_start, said=said, seconds=seconds)


def _start(folder: Path, *_: str, said: bytes, seconds: float) -> Process:
    return Process(folder, said.hex(), str(seconds), module=__name__)


def main(_: str, said: str, seconds: str) -> None:
    """Be one."""
    sys.stdout.buffer.write(bytes.fromhex(said))
    sys.stdout.buffer.flush()
    time.sleep(float(seconds))
