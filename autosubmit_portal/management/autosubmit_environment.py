"""Autosubmit in an environment of its own: its dependencies are many and not ours. Nothing here needs Django.

`python -m autosubmit_portal.management.autosubmit_environment FOLDER` installs it into a folder.
"""

import shutil
import subprocess
import sys
from pathlib import Path

AUTOSUBMIT_VERSION = "4.1.17.1"
INHERITED_UMASK = -1


class NotInstalled(Exception):
    """Autosubmit could not be installed; what venv or pip said of it stands on the terminal."""


def get_program(folder: Path) -> Path:
    """Return the program of an environment."""
    return folder / "bin" / "autosubmit"


def install(folder: Path, *, umask: int = INHERITED_UMASK) -> None:
    """Make an environment with Autosubmit, if there is none; raise NotInstalled and leave nothing if that fails."""
    if get_program(folder).exists():
        return
    print(f"Installing Autosubmit {AUTOSUBMIT_VERSION} into {folder} …", flush=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, umask=umask)
        subprocess.run([*pip, f"autosubmit=={AUTOSUBMIT_VERSION}"], check=True, umask=umask)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError | subprocess.CalledProcessError):
            raise NotInstalled(f"Autosubmit could not be installed into {folder}: {error}") from error
        raise


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]))
    except NotInstalled as error:
        sys.exit(str(error))
