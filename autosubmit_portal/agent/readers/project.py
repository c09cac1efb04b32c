"""What of an experiment's project is not committed or not pushed, told by git, which runs nothing of the project.

A repository can name programs in its own configuration: hooks, filters, monitors, ways to fetch. So git never sees it.
It gets a folder of ours with a configuration of ours, and copies of what tells where the branches are; it reads only
the objects and the files of the project. The question is that of Autosubmit 4.1.17 (`check_unpushed_changes`), which
refuses to run an operational experiment by it, a minute later and with the programs of the repository.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from autosubmit_portal.agent.protocol.fields import refuse_others
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.place import Answer, Place
from autosubmit_portal.sentences import say
from jobs.autosubmit.logs.safe_open import LeadsOutside, open_inside

MOST_NAMED = 20
# Together less than a reader may take; git reads a large project in a second.
_SECONDS = 8.0
_MOST_PRINTED = 64 * 1024
_MOST_BYTES = 64 * 1024 * 1024
_MOST_REFS = 10_000
_GIT = "/usr/bin/git"
# Without windows of a gigabyte, which a reader may not map.
_CONFIGURATION = """[core]
repositoryformatversion = 0
bare = false
packedGitWindowSize = 16m
packedGitLimit = 256m
"""
_UNCOMMITTED = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all")
_UNPUSHED = ("rev-list", "--abbrev-commit", f"--max-count={MOST_NAMED + 1}", "--branches", "--not", "--remotes")
_KEPT = ("HEAD", "index", "packed-refs", "info/exclude")


def read_project(place: Place, arguments: Message) -> Answer:
    """Return the files that are not committed and the commits that are not pushed, some of many."""
    refuse_others(arguments)
    folder = place.store.experiment_folder(place.expid)
    changed: list[str] = []
    commits: list[str] = []
    for project in _find_projects(folder):
        with tempfile.TemporaryDirectory() as ours:
            _prepare(folder, project, Path(ours))
            changed += [entry[3:] for entry in _ask(project, ours, *_UNCOMMITTED).split("\0") if entry[3:]]
            commits += _ask(project, ours, *_UNPUSHED).split()
    return {"changed": changed[: MOST_NAMED + 1], "commits": commits[: MOST_NAMED + 1]}, b""


def _find_projects(folder: Path) -> Iterator[Path]:
    """Yield the clones of an experiment."""
    with suppress(FileNotFoundError):
        for entry in sorted((folder / "proj").iterdir()):
            if (entry / ".git").is_dir() and entry.resolve().is_relative_to(folder.resolve()):
                yield entry


def _prepare(folder: Path, project: Path, ours: Path) -> None:
    """Make a repository of ours out of what tells where the branches of another are."""
    (ours / "config").write_text(_CONFIGURATION)
    for name in ("refs/heads", "info", "objects"):
        (ours / name).mkdir(parents=True)
    inside = (project / ".git").relative_to(folder)
    for name in (*_KEPT, *_list_refs(project / ".git")):
        with suppress(FileNotFoundError):
            _copy(folder, inside / name, ours / name)


def _list_refs(repository: Path) -> list[str]:
    found: list[str] = []
    for kind in ("refs/heads", "refs/remotes"):
        for parent, _, names in os.walk(repository / kind):
            found += [str(Path(parent, name).relative_to(repository)) for name in names]
            if len(found) > _MOST_REFS:
                raise OSError(say("its project has more than {most} branches", most=f"{_MOST_REFS:,}"))
    return found


def _copy(folder: Path, inside: Path, copy: Path) -> None:
    try:
        with open_inside(folder, str(inside)) as file:
            data = file.read(_MOST_BYTES + 1)
    except LeadsOutside as error:
        raise OSError(str(error)) from error
    if len(data) > _MOST_BYTES:
        raise OSError(say("{inside} is longer than {most} bytes", inside=inside, most=f"{_MOST_BYTES:,}"))
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(data)


def _ask(project: Path, ours: str, *words: str) -> str:
    """Return the beginning of what git prints; raise OSError where it cannot tell."""
    variables = {
        "PATH": os.defpath,
        "HOME": ours,
        "LC_ALL": "C",
        "GIT_DIR": ours,
        "GIT_WORK_TREE": str(project),
        "GIT_OBJECT_DIRECTORY": str(project / ".git" / "objects"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",
    }
    how = {"env": variables, "cwd": project, "stdin": subprocess.DEVNULL, "capture_output": True}
    try:
        done = subprocess.run([_GIT, *words], check=True, timeout=_SECONDS, **how)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired as error:
        raise OSError(
            say("git does not answer about the project within {seconds} s", seconds=f"{_SECONDS:.0f}")
        ) from error
    except subprocess.CalledProcessError as error:
        text = error.stderr[:300].decode("utf-8", "replace").strip()
        raise OSError(say("git cannot tell about the project: {error}", error=text)) from error
    return str(done.stdout[:_MOST_PRINTED].decode("utf-8", "replace"))
