"""A program in place of Autosubmit, which does what its first word says in Python, and the two ways to start it."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from autosubmit_portal.agent import launcher
from autosubmit_portal.agent.run_directory import Look, RunDirectory, State
from autosubmit_portal.agent.spool import Spool, Start
from autosubmit_portal.agent.warm import WarmAutosubmit
from tests.support.waiting import wait_for

PORTAL = "0f7b3a5e-5d0c-4c58-9f0e-3b6f6a3c1d11"
DIGEST = "ab" * 32

PROGRAM = """#!{python}
import sys
from pretended import do
if __name__ == "__main__":
    sys.exit(do(sys.argv[1]))
"""
PACKAGE = """
import os, sys
IMPORTED_IN = os.getpid()

def do(code):
    found = {**globals(), "__name__": "__main__"}
    exec(code, found)
    return found.get("status", 0)
"""


def write_program(folder: Path, python: str = sys.executable, package: str = PACKAGE) -> Path:
    """Write the program and the package that it imports, and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pretended.py").write_text(package)
    program = folder / "autosubmit"
    program.write_text(PROGRAM.format(python=python))
    program.chmod(0o755)
    return program


class Pretended:
    """A spool whose commands are those of the program, and its warm processes."""

    def __init__(self, folder: Path, program: Path, **environment: str) -> None:
        self.program = program
        self.spool = Spool(folder / "spool", PORTAL)
        self.warm = WarmAutosubmit(self.spool.folder)
        self.environment: Mapping[str, str] = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
        self._keys = (f"7d1f6c9a-84f1-4b7e-a6c4-{number:012x}" for number in range(1, 2**16))

    def start(self, *words: str, key: str = "", is_warm: bool = True, umask: int = 0o022) -> str:
        """Start a command and return its key."""
        key = key or next(self._keys)
        self.answer(key, *words, is_warm=is_warm, umask=umask)
        return key

    def answer(self, key: str, *words: str, is_warm: bool = True, umask: int = 0o022) -> Start:
        """Start a command and return the answer to that."""
        launch = self.warm.launch if is_warm else RunDirectory.launch
        return self.spool.start(key, DIGEST, [str(self.program), *words], self.environment, umask, launch=launch)

    def wait_until_warm(self) -> None:
        """Have a command done, and wait until the process that this starts is warm."""
        self.end(self.start("pass"))
        wait_for(lambda: self.is_warm)

    @property
    def is_warm(self) -> bool:
        """Whether a command that is started now is handed over."""
        self.warm.tend()
        return any(process.is_alive and process._is_ready for process in self.warm._processes.values())

    @property
    def pid(self) -> int:
        """The warm process."""
        (process,) = self.warm._processes.values()
        return process._pid

    def end(self, key: str) -> tuple[int | None, bytes]:
        """Wait until a command has ended; return its exit status and what it has printed."""

        def look() -> Look:
            self.warm.tend()
            return self.spool.find(key).look()

        done = wait_for(look, is_enough=lambda look: look.state not in (State.NOT_STARTED, State.ALIVE))
        assert done.state is State.ENDED, done
        return done.exit_status, self.spool.find(key).read_output(0, 10_000_000).data

    def do(self, *words: str, is_warm: bool = True) -> tuple[int | None, bytes]:
        """Start a command and wait for its end."""
        return self.end(self.start(*words, is_warm=is_warm))


@contextmanager
def pretended(folder: Path, program: Path, **environment: str) -> Iterator[Pretended]:
    """Lend a program whose warm processes end at the end."""
    made = Pretended(folder, program, **environment)
    try:
        yield made
    finally:
        processes = list(made.warm._processes.values())
        for process in processes:
            process._channel.close()
            process._printed.close()
        wait_for(lambda: all(is_gone(process._pid) for process in processes))


@contextmanager
def pretended_warm(
    folder: Path, python: str = sys.executable, package: str = PACKAGE, **environment: str
) -> Iterator[Pretended]:
    """Lend one that is warm."""
    with pretended(folder, write_program(folder / "bin", python, package), **environment) as made:
        made.wait_until_warm()
        yield made


def is_gone(pid: int) -> bool:
    """Answer whether a process that this one has started has ended."""
    launcher.reap()
    return pid not in launcher._launched
