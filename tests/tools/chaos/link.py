"""The link to a site: `python link.py CUT COMMAND…` runs the command of a channel and passes its bytes on.

It imports nothing of the portal. While there is a file CUT nothing arrives, as when a network does not pass on any
more; while it says `answers`, requests still do. What was on its way arrives when the file is gone. Neither side
hears of the cut.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

CUT = Path(sys.argv[1])


def main() -> int:
    with subprocess.Popen(sys.argv[2:], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        assert command.stdin
        assert command.stdout
        ends = (0, command.stdin.fileno(), ("",))
        threading.Thread(target=carry, args=ends, daemon=True).start()
        carry(command.stdout.fileno(), 1, ("", "answers"))
    return command.returncode


def carry(source: int, sink: int, cuts: tuple[str, ...]) -> None:
    """Pass on what comes until no more does."""
    while data := os.read(source, 1 << 16):
        wait(cuts)
        while data:
            data = data[os.write(sink, data) :]
    wait(cuts)
    os.close(sink)


def wait(cuts: tuple[str, ...]) -> None:
    while is_cut(cuts):
        time.sleep(0.02)


def is_cut(cuts: tuple[str, ...]) -> bool:
    try:
        return CUT.read_text() in cuts
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    # At once: the other thread may wait for input that never comes.
    try:
        status = main()
    except OSError:
        status = 1
    os._exit(status)
