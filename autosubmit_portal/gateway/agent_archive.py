"""The agent as one file that any Python runs: the same bytes for the same code."""

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = Path("autosubmit_portal")
_MAIN = _PACKAGE / "agent" / "__main__.py"
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
        for name in sorted(_list_files()):
            entry = zipfile.ZipInfo(name.as_posix(), _TIME)
            entry.external_attr = _MODE
            archive.writestr(entry, (_ROOT / name).read_bytes())
        main = zipfile.ZipInfo("__main__.py", _TIME)
        main.external_attr = _MODE
        archive.writestr(main, (_ROOT / _MAIN).read_bytes())
    return made.getvalue()


def _list_files() -> Iterator[Path]:
    yield _PACKAGE / "__init__.py"
    for file in (_ROOT / _PACKAGE / "agent").rglob("*"):
        if file.suffix in (".py", ".sh"):
            yield file.relative_to(_ROOT)
