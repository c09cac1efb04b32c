"""Ask the Autosubmit program of a site for its version, which shows whether it can run."""

import subprocess
from pathlib import Path

from autosubmit_portal.sentences import say
from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.store import BrokenStore

# It takes 3 s; a minute means that the file system hangs.
LONGEST_SECONDS = 60.0


def read_program_version(program: Path, home: Path, caches: Path) -> str:
    """Return what `autosubmit --version` says; raise BrokenStore with the reason and the remedy when it cannot run."""
    with begin_to_ask(program, home, caches) as process:
        try:
            return take_version(program, process, LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise make_broken(program, error) from error


def begin_to_ask(program: Path, home: Path, caches: Path) -> "subprocess.Popen[str]":
    """Start the program, which prints its version. Raises BrokenStore."""
    try:
        return subprocess.Popen(
            [str(program), "--version"],
            env=make_environment(program, home, caches),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise make_broken(program, error) from error


def take_version(program: Path, process: "subprocess.Popen[str]", seconds: float) -> str:
    """Return what the program has printed within so many seconds. Raises BrokenStore, and TimeoutExpired."""
    printed, complained = process.communicate(timeout=seconds)
    if process.returncode or not printed.strip():
        last = (complained.strip() or printed.strip()).splitlines()[-1:]
        reason = last[0] if last else say("exit status {number}", number=process.returncode)
        raise BrokenStore(
            say(
                "The Autosubmit program {program} is broken: {reason}. Repair the installation.",
                program=program,
                reason=reason,
            )
        )
    return printed.strip().splitlines()[-1].split()[-1]


def make_broken(program: Path, error: Exception) -> BrokenStore:
    """Return what is wrong with a program that cannot run."""
    return BrokenStore(
        say(
            "The Autosubmit program {program} cannot run: {error}. Repair the installation.",
            program=program,
            error=error,
        )
    )
