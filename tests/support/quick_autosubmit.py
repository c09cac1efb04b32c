"""The real Autosubmit, imported in a third of the time: an environment like its own, before which one file runs.

All else is the installed program: what tests run, they run some hundred times. Of 2.3 s of processor, two things took
most:

- Autosubmit 4.1.17.1 calls `inspect.stack()` 110 times while it is imported, for the name of a class
  (autosubmit/helpers/parameters.py), and each call reads the sources of all frames. Here a stack has the frames and no
  sources.
- matplotlib is imported by every command, and draws nothing but the figures of `autosubmit stats`
  (autosubmit/monitor/diagram.py), which no test asks for. Here it has its names, and nothing is drawn.
"""

from functools import partial
from pathlib import Path

from tests.support.shared import once, run_folder

NAME = "autosubmit"

QUICK_IMPORTS = """
import inspect
import sys
from types import ModuleType


def stack(context=1):
    frames, frame = [], sys._getframe(1)
    while frame:
        code = frame.f_code
        frames.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
        frame = frame.f_back
    return frames


inspect.stack = stack


class NotDrawn(ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return use if name == "use" else NotDrawn(name)


def use(backend):
    pass


for name in ("", ".backends", ".backends.backend_pdf", ".patches", ".pyplot"):
    sys.modules["matplotlib" + name] = NotDrawn("matplotlib" + name)
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
    (ours / "quick_imports.py").write_text(QUICK_IMPORTS)
    (ours / "quick_imports.pth").write_text(f"import quick_imports, site; site.addsitedir({str(packages)!r})\n")
    (folder / "pyvenv.cfg").write_text((environment / "pyvenv.cfg").read_text())
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(environment / "bin" / "python")
    program = folder / "bin" / "autosubmit"
    program.write_text(PROGRAM.format(python=run_folder() / NAME / "bin" / "python"))
    program.chmod(0o755)
