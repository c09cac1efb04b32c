"""Reading files inside one folder, wherever links in it lead."""

import os
import stat
from pathlib import Path


class Outside(Exception):
    """A path leads out of the folder."""


class TooLong(Exception):
    """A file is longer than is read."""


def real_path(folder: Path, path: Path) -> Path:
    """Return where `path`, relative to `folder` or absolute, really is; raise Outside, or OSError if it is nowhere."""
    root = folder.resolve()
    try:
        real = (root / path).resolve()
    except (RuntimeError, ValueError) as error:  # a ring of links, or a NUL
        raise OSError(f"{path} cannot be followed: {error}") from error
    if not real.is_relative_to(root):  # whether it is there is nobody's business
        raise Outside(f"{path} leads out of {folder}")
    real.lstat()
    return real


def read_inside(folder: Path, path: Path, limit: int) -> bytes:
    """Return what stands in a regular file inside `folder`, of at most `limit` bytes.

    Links are followed as long as they stay inside; one that is put in place meanwhile is not. Raises Outside, TooLong
    and OSError.
    """
    root = folder.resolve()
    descriptor = _open_below(root, real_path(folder, path).relative_to(root).parts)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLong(f"it is longer than {limit:,} bytes")
    return content


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    """Open step by step without following a link. A named pipe is not waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    current = os.open(root, flags | os.O_DIRECTORY)
    for part in parts:
        try:
            following = os.open(part, flags, dir_fd=current)
        finally:
            os.close(current)
        current = following
    return current
