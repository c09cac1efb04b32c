"""Ask the Autosubmit program of a site for its version, which shows whether it can run."""

import subprocess
from pathlib import Path

from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.store import BrokenStore


def read_program_version(program: Path, home: Path, caches: Path) -> str:
    """Return what `autosubmit --version` says; raise BrokenStore with the reason and the remedy when it cannot run."""
    try:
        done = subprocess.run(
            [str(program), "--version"],
            env=make_environment(program, home, caches),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,  # it takes 3 s; a minute means that the file system hangs
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokenStore(f"The Autosubmit program {program} cannot run: {error}. Repair the installation.") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        reason = last[0] if last else f"exit status {done.returncode}"
        raise BrokenStore(f"The Autosubmit program {program} is broken: {reason}. Repair the installation.")
    return done.stdout.strip().splitlines()[-1].split()[-1]
