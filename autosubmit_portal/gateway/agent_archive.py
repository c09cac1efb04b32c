"""The agent as one file that any Python runs: the same bytes for the same code."""

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_MAIN = Path("autosubmit_portal/agent/__main__.py")
_FOLDERS = (Path("autosubmit_portal/agent"), Path("experiments/autosubmit"), Path("jobs/autosubmit"))
# How what reads a store says things; an agent itself tells them as plain text.
_SENTENCES = Path("autosubmit_portal/sentences.py")
# What others have written, and the folders of it that an agent needs.
PACKAGES = {"PyYAML": ("yaml",), "websockets": ("websockets", "websockets/extensions", "websockets/sync")}
# The first instant that an archive can tell.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


def write_archive(folder: Path) -> Path:
    """Write `agent-<digest>.pyz` into a folder and return it; one that is there already is the same."""
    data = _make_archive()
    archive = folder / f"agent-{hashlib.sha256(data).hexdigest()}.pyz"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".agent-") as new:
        new.write(data)
        new.flush()
        os.fchmod(new.fileno(), 0o444)
        with suppress(FileExistsError):
            os.link(new.name, archive)
    return archive


def _make_archive() -> bytes:
    """Return the bytes of the archive. They are not compressed: other versions of zlib would make others."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        packages = (part for name, folders in PACKAGES.items() for part in _list_package_files(name, folders))
        for name, file in sorted([*_list_own_files(), *packages]):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = _MODE
            archive.writestr(entry, file.read_bytes())
    return made.getvalue()


def _list_own_files() -> Iterator[tuple[str, Path]]:
    """Yield what the agent is made of: its name in the archive, and where it is."""
    yield "__main__.py", _ROOT / _MAIN
    yield _SENTENCES.as_posix(), _ROOT / _SENTENCES
    for folder in _FOLDERS:
        package = folder.parent / "__init__.py"
        yield package.as_posix(), _ROOT / package
        for file in (_ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".sh"):
                yield file.relative_to(_ROOT).as_posix(), file


def _list_package_files(package: str, folders: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Yield these folders of a package as it is installed here, but for what is not Python, and its licence."""
    for file in distribution(package).files or ():
        if file.parent.as_posix() in folders and file.suffix == ".py":
            yield file.as_posix(), Path(str(file.locate()))
        elif file.name == "LICENSE":
            yield f"{min(folders)}/LICENSE", Path(str(file.locate()))
