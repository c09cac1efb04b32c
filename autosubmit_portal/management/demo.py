"""Small real experiments, made with the real Autosubmit: what a newcomer sees first, and what the tests use.

The programs of the jobs only sleep, so that a whole workflow runs in seconds on the local platform.
"""

import re
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.output import find_created_expid

# Autosubmit needs 3 s for anything and much longer on a busy machine; whatever takes this long hangs.
TIMEOUT_SECONDS = 600


class AutosubmitFailed(Exception):
    """A command of Autosubmit ended with another status than 0; the message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Autosubmit:
    """An Autosubmit program and the home that its commands work in."""

    program: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment that its commands run in."""
        return make_environment(self.program, self.home, settings.CACHES_DIRECTORY)

    def call(self, *arguments: str) -> str:
        """Run one command to its end and return what it printed; raise AutosubmitFailed when it fails."""
        with tempfile.TemporaryDirectory() as empty:  # Autosubmit imports from its working directory first
            status, output = self._run(arguments, empty)
        text = output.decode("utf-8", "replace")
        if status:
            raise AutosubmitFailed(f"autosubmit {' '.join(arguments)}: exit {status}\n{text[-2000:]}")
        return text

    def _run(self, arguments: tuple[str, ...], folder: str) -> tuple[int, bytes]:
        done = subprocess.run(
            [str(self.program), *arguments],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS,
            check=False,
            umask=settings.COMMANDS_UMASK,
        )
        return done.returncode, done.stdout

    def prepare(self) -> bool:
        """Configure Autosubmit and make its database where they are missing; return whether anything was."""
        self.home.mkdir(parents=True, exist_ok=True)
        is_configured = (self.home / ".autosubmitrc").exists()
        if not is_configured:
            self.call("configure")
        is_installed = (self.home / "autosubmit" / "autosubmit.db").exists()
        if not is_installed:
            self.call("install")
        return not (is_configured and is_installed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One section of a workflow: `running` is once, member or chunk; `after` names what it waits for."""

    name: str
    script: str = "true"
    running: str = "once"
    after: str = ""
    wallclock: str = "00:05"

    def write_yaml(self) -> str:
        """Return the section as Autosubmit's configuration has it."""
        lines = [f"  {self.name}:", "    SCRIPT: |"]
        lines += [f"      {line}" for line in self.script.splitlines()]
        lines += ["    PLATFORM: LOCAL", f"    RUNNING: {self.running}", f"    WALLCLOCK: '{self.wallclock}'"]
        if self.after:
            lines.append(f"    DEPENDENCIES: {self.after}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """A workflow on the local platform with members fc0, fc1, … and one-month chunks."""

    description: str
    sections: tuple[Section, ...]
    members: int = 1
    chunks: int = 1
    sleep_seconds: int = 1

    def make(self, autosubmit: Autosubmit, *, generate: bool = True) -> str:
        """Make an experiment of it and return its expid; without `generate` it has no job list."""
        text = autosubmit.call("expid", "--dummy", "--HPC=local", f"--description={self.description}")
        expid = find_created_expid(text)
        if expid is None:
            raise AutosubmitFailed(f"autosubmit expid named no experiment:\n{text[-2000:]}")
        self._configure(expid, autosubmit.home / "autosubmit" / expid / "conf")
        if generate:
            autosubmit.call("create", "--noplot", expid)
        return expid

    def _configure(self, expid: str, folder: Path) -> None:
        jobs = "".join(section.write_yaml() for section in self.sections)
        (folder / f"jobs_{expid}.yml").write_text(f"JOBS:\n{jobs}")
        members = " ".join(f"fc{number}" for number in range(self.members))
        set_value(folder / f"expdef_{expid}.yml", "MEMBERS", f"'{members}'")
        set_value(folder / f"expdef_{expid}.yml", "NUMCHUNKS", f"'{self.chunks}'")
        set_value(folder / f"expdef_{expid}.yml", "CHUNKSIZE", "'1'")
        set_value(folder / f"autosubmit_{expid}.yml", "SAFETYSLEEPTIME", str(self.sleep_seconds))
        set_value(folder / f"autosubmit_{expid}.yml", "RETRIALS", "0")


def set_value(file: Path, key: str, value: str) -> None:
    """Set a value of a configuration that Autosubmit has made; raise AutosubmitFailed where it has no such line."""
    text, count = re.subn(rf"^  {key}:.*$", f"  {key}: {value}", file.read_text(), count=1, flags=re.MULTILINE)
    if count != 1:
        raise AutosubmitFailed(f"{file} has no line for {key}: is this Autosubmit newer than the portal knows?")
    file.write_text(text)


def _make_model(simulation: str) -> tuple[Section, ...]:
    return (
        Section(name="SETUP", script="sleep 1"),
        Section(name="INI", script="sleep 1", running="member", after="SETUP"),
        Section(name="SIM", script=simulation, running="chunk", after="INI SIM-1"),
        Section(name="POST", script="sleep 1", running="chunk", after="SIM"),
    )


READY = Workflow(
    description="Demo: a small forecast, ready to be started", sections=_make_model("sleep 2"), members=2, chunks=1
)
FAILED = Workflow(
    description="Demo: a forecast whose second month fails",
    sections=_make_model(
        'echo "month %CHUNK% of %MEMBER%"\nif [ "%CHUNK%" = 2 ]; then echo "out of memory" >&2; exit 1; fi'
    ),
    members=1,
    chunks=2,
)


def make_demo(autosubmit: Autosubmit) -> list[str]:
    """Make one experiment that is ready to be started and one that ran and failed; return their expids."""
    ready, failed = READY.make(autosubmit), FAILED.make(autosubmit)
    with suppress(AutosubmitFailed):  # which it is for
        autosubmit.call("run", failed)
    return [ready, failed]
