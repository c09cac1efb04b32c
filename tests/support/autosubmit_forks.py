"""Autosubmit that is imported once and forked for each command: the same program without the 4 s of its imports.

Autosubmit's own Python runs this file (tests/support/services.py starts it). It reads an order a line from its input,
does it to its end in a child, and writes the exit status of that, a line too; an order is an object of JSON:

    command     the program and its arguments
    environment all variables of the command
    folder      where it works
    output      the file that takes what it prints
    seconds     when it is killed
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from autosubmit.scripts.autosubmit import main


def become(order: dict[str, Any]) -> None:
    """Make this process what a new one would be that was started for this order."""
    signal.alarm(order["seconds"])
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    output = os.open(order["output"], os.O_WRONLY)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, number)
    sys.argv = order["command"]
    show_as([sys.executable, *order["command"]])


def show_as(command: list[str]) -> None:
    """Let others see this command line: the portal tells by it a run from other commands that hold the same lock.

    It replaces that of the process where the kernel reads it, between the addresses that are fields 48 and 49 of
    /proc/self/stat (proc(5)).
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    line = "\0".join(command).encode()[: end - start - 1]
    ctypes.memmove(start, line.ljust(end - start, b"\0"), end - start)


for line in sys.stdin:
    child = os.fork()
    if not child:
        become(json.loads(line))
        sys.exit(main())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
