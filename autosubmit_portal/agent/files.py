"""Small files that several processes make and read at once, on a disk that may be full, on a host that may fail."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_text(file: Path) -> str:
    """Return the text of a small file without blanks around it; an absent file is empty."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""


def link_new(file: Path, text: str) -> bool:
    """Make a file if there is none; whole, on the disk, and by one process only. Return whether it was us."""
    with _written(file, text.encode(), is_synced=True) as new:
        try:
            os.link(new, file)
        except FileExistsError:
            return False
    sync_folder(file.parent)
    return True


def replace(file: Path, data: bytes) -> None:
    """Write a file; others see the old one or the new one."""
    with _written(file, data, is_synced=False) as new:
        os.replace(new, file)


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for nobody else: mkdir leaves the ones above to the umask."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written(file: Path, data: bytes, *, is_synced: bool) -> Iterator[str]:
    """Lend a file with this content, for nobody else, beside the place where it belongs."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(data)
            new.flush()
            if is_synced:
                os.fsync(descriptor)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
