"""Whether the Autosubmit program of a site runs, and its version: asked beside the passes, for it takes seconds."""

import os
import resource
import subprocess
import time
from contextlib import suppress

from autosubmit_portal.agent.watch.request import Place
from autosubmit_portal.sentences import say
from experiments.autosubmit.program import LONGEST_SECONDS, begin_to_ask, make_broken, take_version
from experiments.autosubmit.store import BrokenStore

# A broken program is asked again when it has changed, but not more often.
CHECK_SECONDS = 60.0
KILL_SECONDS = 1.0
# What is printed is read within that; in no time at all nothing is.
MOMENT_SECONDS = 0.01


class ProgramCheck:
    """Knows the `version`, blank while that is unknown, and the `problem`, blank without one."""

    def __init__(self, place: Place) -> None:
        self.version = ""
        self.problem = ""
        self._place = place
        self._asked_of: float | None = None
        self._asked_at = self._again_at = 0.0
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_asking(self) -> bool:
        """Whether the program has been asked and has not answered yet."""
        return self._process is not None

    def look(self) -> None:
        """Ask the program if it is new, has changed, or was broken a while ago."""
        try:
            changed_at = os.stat(self._place.program).st_mtime
        except OSError as error:
            self._asked_of = None
            self.problem = say(
                "The Autosubmit program {program} is missing: {error}.",
                program=self._place.program,
                error=error.strerror,
            )
            return
        if changed_at != self._asked_of and not self.is_asking and time.monotonic() >= self._again_at:
            self._ask(changed_at)

    def hear(self, seconds: float) -> None:
        """Take the answer, if it comes within so many seconds."""
        if not self._process:
            return
        try:
            self.version, self.problem = take_version(self._place.program, self._process, seconds), ""
        except subprocess.TimeoutExpired as error:
            if time.monotonic() - self._asked_at < LONGEST_SECONDS:
                return
            self.close()
            late = subprocess.TimeoutExpired(error.cmd, LONGEST_SECONDS)  # it was asked in many short moments
            self._note_broken(make_broken(self._place.program, late))
        except BrokenStore as problem:
            self._note_broken(problem)
        self._process = None

    def close(self) -> None:
        """Do not wait for the answer any more."""
        if self._process:
            self._process.kill()
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe:
                    pipe.close()
            with suppress(subprocess.TimeoutExpired):  # it hangs on a disk
                self._process.wait(KILL_SECONDS)
        self._process = None

    def _ask(self, changed_at: float) -> None:
        self._asked_of, self._asked_at = changed_at, time.monotonic()
        try:
            self._process = begin_to_ask(self._place.program, self._place.home, self._place.caches)
        except BrokenStore as problem:
            self._note_broken(problem)
            return
        _lift_memory_limit(self._process.pid)

    def _note_broken(self, problem: BrokenStore) -> None:
        self.problem = str(problem)
        self._asked_of, self._again_at = None, time.monotonic() + CHECK_SECONDS


def _lift_memory_limit(pid: int) -> None:
    """Allow a process what a watcher is not allowed: Autosubmit imports large libraries."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
