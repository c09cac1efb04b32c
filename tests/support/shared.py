"""What one run of the tests makes once, in whichever of its processes needs it first."""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

# The folder of the run. Processes that tests run in side by side inherit it from the one that starts them.
VARIABLE = "TESTS_RUN_FOLDER"


@cache
def run_folder() -> Path:
    """Return the folder of this run; the first process makes it and removes it at its end."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    made = tempfile.mkdtemp(prefix="portal-tests-run-")
    os.environ[VARIABLE] = made
    Path(made).chmod(0o755)  # other accounts run the Autosubmit in it
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder called `name`: `make` fills it, unless it did so before; who asks meanwhile waits."""
    made = run_folder() / name
    with (run_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            half = Path(tempfile.mkdtemp(dir=run_folder()))
            make(half)
            half.rename(made)
    return made
