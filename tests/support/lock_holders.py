"""Processes that hold the lock of an experiment, as its run does, or as somebody else may."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LOCKS_AND_WAITS = (
    "import fcntl, os, sys\n"
    "os.setuid(int(os.environ['WHO']))\n"
    "fcntl.flock(int(os.environ['LOCK']), fcntl.LOCK_EX)\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
)
NOBODY = 65534


@contextmanager
def lock_held(lock_file: Path, *words: str, program: str = "autosubmit", uid: int | None = None) -> Iterator[int]:
    """Have a program with these arguments hold a lock file that is there or is made; yield its process number."""
    lock_file.touch()
    with tempfile.TemporaryDirectory() as folder, lock_file.open() as file:
        Path(folder).chmod(0o755)
        script = Path(folder) / program
        script.write_text(_LOCKS_AND_WAITS)
        process = subprocess.Popen(
            [os.path.realpath(sys.executable), str(script), *words],
            env={"LOCK": str(file.fileno()), "WHO": str(os.getuid() if uid is None else uid)},
            pass_fds=[file.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout
            assert process.stdout.readline() == "locked\n"
            yield process.pid


@contextmanager
def running(lock_file: Path) -> Iterator[int]:
    """Have a run of the experiment hold its lock (`<expid>/tmp/autosubmit.lock`)."""
    with lock_held(lock_file, "run", lock_file.parent.parent.name) as pid:
        yield pid


@dataclass(frozen=True, slots=True)
class LocksIn:
    """The kernel's table of locks, but only those of the lock files in a folder: what else the host runs is hidden."""

    folder: Callable[[], Path]

    def read_text(self, **how: str) -> str:
        """Return the lines of `/proc/locks`."""
        inodes = {str(file.stat().st_ino) for file in self.folder().rglob("*.lock")}
        lines = Path("/proc/locks").read_text(**how).splitlines()
        return "\n".join(line for line in lines if line.split()[-3].rpartition(":")[2] in inodes)
