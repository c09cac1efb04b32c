"""The real Autosubmit, imported in half the time: an environment that looks like its own, before which one line runs.

Autosubmit 4.1.17.1 calls `inspect.stack()` 110 times while it is imported, for the name of a class
(autosubmit/helpers/parameters.py), and each call reads the sources of all frames: 1.3 of 2.3 s of processor. Here a
stack has the frames and no sources. All else is the installed program: what tests run, they run a hundred times.
"""

from functools import partial
from pathlib import Path

from tests.support.shared import once, run_folder

NAME = "autosubmit"

QUICK_STACK = """
import inspect
import sys


def stack(context=1):
    frames, frame = [], sys._getframe(1)
    while frame:
        code = frame.f_code
        frames.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
        frame = frame.f_back
    return frames


inspect.stack = stack
"""

# The process that fetches logs imports this file again, and must not run the command again.
PROGRAM = """#!{python}
import sys
from autosubmit.scripts.autosubmit import main
if __name__ == "__main__":
    sys.exit(main())
"""


def quick(installed: Path) -> Path:
    """Return the program to use for the one that is installed: that one itself if its environment is not a venv's."""
    if not (installed.parent.parent / "pyvenv.cfg").exists():
        return installed
    once(NAME, partial(_make, installed.parent.parent))
    return run_folder() / NAME / "bin" / "autosubmit"


def _make(environment: Path, folder: Path) -> None:
    """Make an environment in a folder whose packages and Python are those of another one."""
    folder.chmod(0o755)  # as other accounts too
    packages = next(environment.glob("lib/python*/site-packages"))
    ours = folder / packages.relative_to(environment)
    ours.mkdir(parents=True)
    (ours / "quick_stack.py").write_text(QUICK_STACK)
    (ours / "quick_stack.pth").write_text(f"import quick_stack, site; site.addsitedir({str(packages)!r})\n")
    (folder / "pyvenv.cfg").write_text((environment / "pyvenv.cfg").read_text())
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(environment / "bin" / "python")
    program = folder / "bin" / "autosubmit"
    program.write_text(PROGRAM.format(python=run_folder() / NAME / "bin" / "python"))
    program.chmod(0o755)
