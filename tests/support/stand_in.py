"""The stand-in for `autosubmit` of tests/tools/chaos, without its chance: real commands, locks and processes, at once.

For fast tests of what workers do. How the real Autosubmit behaves, the tests with the marker `autosubmit` show.
"""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.management.demo import Autosubmit
from experiments.autosubmit.output import find_created_expid
from tests.support.waiting import wait_for

SCRIPT = Path(__file__).parents[1] / "tools" / "chaos" / "stand_in.py"


def write_stand_in(folder: Path, python: str = sys.executable) -> Path:
    """Write the program into a folder that is made, and return where it is."""
    folder.mkdir()
    program = folder / "autosubmit"
    program.write_text(f"#!{python} -IS\n{SCRIPT.read_text()}")
    program.chmod(0o755)
    return program


@dataclass(frozen=True, slots=True)
class StandIn(Autosubmit):
    """A stand-in whose commands take no time and end well, unless they are told to wait or to fail."""

    @classmethod
    def install(cls, folder: Path) -> "StandIn":
        """Write the program and make a home in a folder."""
        made = cls(write_stand_in(folder / "bin"), folder / "home")
        made.prepare()
        (made.home / "calm").touch()
        return made

    def copy(self, home: Path) -> "StandIn":
        """Copy the home with all its experiments."""
        shutil.copytree(self.home, home)
        configuration = home / ".autosubmitrc"
        configuration.write_text(configuration.read_text().replace(str(self.home), str(home)))
        return StandIn(self.program, home)

    def hold(self, *commands: str) -> None:
        """Let commands of these names (`run`, `recovery`) wait before they do anything, until they are released."""
        for command in commands:
            (self.home / f"hold-{command}").touch()

    def release(self) -> None:
        """Let all commands that wait go on."""
        for file in self.home.glob("hold-*"):
            file.unlink()

    def let_fail(self, command: str) -> None:
        """Let each command of this name end with an error from now on."""
        (self.home / f"fail-{command}").touch()

    def make_experiment(self) -> str:
        """Make an experiment with three READY jobs: SETUP, SIM and POST."""
        expid = find_created_expid(self.call("expid", "--description=Made by the stand-in"))
        assert expid is not None
        self.call("create", expid)
        return expid

    @contextmanager
    def at_terminal(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Have a user with a terminal start a command, without the portal; what is left of it at the end is killed."""
        before = len(self._ledger("started"))
        command = [str(self.program), *arguments]
        with subprocess.Popen(command, env=self.environment, cwd="/", stdout=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: len(self._ledger("started")) > before)
                yield process
            finally:
                process.kill()

    def replace_experiment(self, expid: str) -> None:
        """Delete an experiment and let another one have its expid, as Autosubmit does."""
        with closing(sqlite3.connect(self.home / "autosubmit" / "autosubmit.db")) as database, database:
            database.execute("UPDATE experiment SET id = id + 1000 WHERE name = ?", [expid])

    def delete_experiment(self, expid: str) -> None:
        """Take an experiment out of the store."""
        with closing(sqlite3.connect(self.home / "autosubmit" / "autosubmit.db")) as database, database:
            database.execute("DELETE FROM experiment WHERE name = ?", [expid])

    def job_list(self, expid: str) -> Path:
        """Return the file of the job list of an experiment."""
        return self.home / "autosubmit" / expid / "pkl" / f"job_list_{expid}.pkl"

    def changes_of(self, expid: str) -> Path:
        """Return the file from which the run of an experiment takes changes of jobs."""
        return self.home / "autosubmit" / expid / "status" / f"updated_list_{expid}.txt"

    def started(self) -> list[str]:
        """Return the commands that workers have started so far."""
        return [command for name, command in self._ledger("started") if name != "terminal"]

    def _ledger(self, event: str) -> list[tuple[str, str]]:
        """Return whose commands (`<action>/<step>` or `terminal`) had an event, and which commands these are."""
        lines = [line.split() for line in (self.home / "ledger").read_text().splitlines()]
        return [(line[1], line[2]) for line in lines if line[0] == event]
