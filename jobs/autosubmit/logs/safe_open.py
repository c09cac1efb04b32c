"""Opening files inside the folder of an experiment, wherever the links in it lead and whatever is done to it meanwhile.

Whoever may write in an experiment may put a link there, or swap a folder for one at any moment. So no path is looked
up by the kernel as a whole: each part is opened in the folder before it, never through a link. A link is read and its
parts are walked in the same way, so that one that stays inside is followed and one that leads out is refused. What
was opened stays what it is, whatever its name means a moment later.
"""

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from autosubmit_portal.sentences import say

MOST_LINKS = 40  # as many as the kernel follows
MOST_NAMES = 1_000_000  # of a folder are read, in about a second
MOST_FILES = 20_000  # of them are listed
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LeadsOutside(Exception):
    """A name or a link that leads out of the folder; the text says which."""


class NotAFile(OSError):
    """Something else than a regular file: a folder, a named pipe, a socket or a device."""


def open_inside(folder: Path, name: str) -> io.FileIO:
    """Open the regular file `name` (relative to `folder`, which itself may be a link) for reading.

    Raises LeadsOutside, NotAFile, or another OSError when it is absent or unreadable. Never waits, not even for the
    writer of a named pipe.
    """
    with _walk(folder, name) as (parent, last):
        _require_file(os.stat(last, dir_fd=parent, follow_symlinks=False), name)
        opened = os.open(last, _READ, dir_fd=parent)
    try:
        _require_file(os.fstat(opened), name)  # it may have been swapped between the two looks
    except NotAFile:
        os.close(opened)
        raise
    return os.fdopen(opened, "rb", buffering=0)


def _require_file(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotAFile(errno.EINVAL, say("Not a regular file"), name)


def list_files_inside(folder: Path, name: str, is_wanted: Callable[[str], bool]) -> dict[str, os.stat_result]:
    """Return the regular files in the folder `name` (relative to `folder`) that can be opened, by their bare names.

    Only names that `is_wanted` are looked at closer, since there may be tens of thousands. Of more than MOST_NAMES, or
    more than MOST_FILES that are wanted, the rest is left out. Raises LeadsOutside and OSError about the folder itself;
    what leads outside of it or is no file is left out.
    """
    with _walk(folder, f"{name}/.") as (parent, _), _open_folder(parent) as opened:
        with os.scandir(opened) as entries:
            names = (entry.name for entry in islice(entries, MOST_NAMES))
            wanted = [*islice(filter(is_wanted, names), MOST_FILES)]
        looked = {file: status for file in wanted if (status := _stat(file, opened))}
    found = {}
    for file, status in looked.items():
        seen = _stat_target(folder, f"{name}/{file}") if stat.S_ISLNK(status.st_mode) else status
        if seen and stat.S_ISREG(seen.st_mode):
            found[file] = seen
    return found


def _stat(name: str, parent: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:  # it is gone again
        return None


def _stat_target(folder: Path, name: str) -> os.stat_result | None:
    """Return what a link leads to; None if that cannot be opened."""
    try:
        with open_inside(folder, name) as file:
            return os.fstat(file.fileno())
    except (OSError, LeadsOutside):
        return None


@contextmanager
def _open_folder(parent: int) -> Iterator[int]:
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def _walk(folder: Path, name: str) -> Iterator[tuple[int, str]]:
    """Yield the open folder that `name` is in, and its bare name there: that of no link when it was looked at."""
    walk = _Walk(folder, name)
    try:
        yield walk.walk(), walk.last
    finally:
        walk.close()


class _Walk:
    """A way through folders. `opened` are those from the outermost to where it is; `..` goes back among them."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.opened = [os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        self.parts = _split_parts(name)
        self.links = 0
        self.last = "."

    def walk(self) -> int:
        """Go as far as the folder of the last part, and return it."""
        while self.parts:
            self._take_step(self.parts.pop())
        return self.opened[-1]

    def close(self) -> None:
        """Close all folders."""
        for opened in self.opened:
            os.close(opened)

    def _take_step(self, part: str) -> None:
        if part == "..":
            self._leave()
        elif part != ".":
            self._enter(part)

    def _enter(self, part: str) -> None:
        found = os.open(part, _LOOK, dir_fd=self.opened[-1])
        kind = os.fstat(found).st_mode
        if stat.S_ISLNK(kind):
            target = os.readlink("", dir_fd=found)
            os.close(found)
            self._follow(target)
        elif self.parts:
            self.opened.append(found)  # if it is no folder, the next part is not found in it
        else:
            os.close(found)
            self.last = part

    def _leave(self) -> None:
        if len(self.opened) == 1:
            raise self._make_error()
        os.close(self.opened.pop())

    def _follow(self, target: str) -> None:
        self.links += 1
        if self.links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self.name)
        if target.startswith("/"):
            target = self._make_relative(target)
            while len(self.opened) > 1:
                os.close(self.opened.pop())
        self.parts += _split_parts(target)

    def _make_relative(self, target: str) -> str:
        """Return an absolute target as it reads from the folder, by either name of the folder."""
        for base in (self.folder, self.folder.resolve()):
            if Path(target).is_relative_to(base):
                return str(Path(target).relative_to(base))
        raise self._make_error()

    def _make_error(self) -> LeadsOutside:
        return LeadsOutside(say("{name} leads out of the folder of {job}.", name=self.name, job=self.folder.name))


def _split_parts(name: str) -> list[str]:
    """Return the parts of a relative name, the last one first."""
    return [part for part in reversed(name.split("/")) if part]
