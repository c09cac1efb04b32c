"""Keeping what the portal writes from the other accounts of its host; nothing here needs Django.

Who reads the database has every session, and who reads the secret key can run code as the portal.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

PRIVATE_UMASK = 0o077
OTHERS = 0o077
OTHERS_READ = 0o044
OTHERS_ENTER = 0o011
# A portal of a year has a hundred thousand run directories; what is open is mostly open everywhere.
MOST_ENTRIES = 2_000
MOST_NAMED = 5
REMEDY = "Take it from them (`chmod -R go-rwx`), as the account that owns it."


def close(home: Path) -> int:
    """Keep from others whatever this process makes from now on, and `home` with the files right in it.

    Returns the umask that was found. What is another account's, or a folder that all may write to, stays as it is:
    `open_files` names it. A home that cannot be made is for whoever writes there to complain of.
    """
    found = os.umask(PRIVATE_UMASK)
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        if _is_ours(home):
            _take_from_others(home)
            for file in filter(Path.is_file, home.iterdir()):
                _take_from_others(file)
    return found


def _is_ours(folder: Path) -> bool:
    about = folder.stat()
    return about.st_uid == os.getuid() and not about.st_mode & stat.S_ISVTX


def _take_from_others(path: Path) -> None:
    with suppress(OSError):  # gone meanwhile, or not ours
        mode = path.lstat().st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def open_files(paths: Iterable[Path]) -> list[Path]:
    """Return which of these files, and of the files in these folders, other accounts can read: of so many entries."""
    found = (path for start in paths if _is_reached(start) for path in _walk(start))
    return [path for path in islice(found, MOST_ENTRIES) if _allows(path, OTHERS_READ) and not path.is_dir()]


def told(files: list[Path]) -> str:
    """Return a sentence that names such files."""
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"Other accounts of this host can read {', '.join(map(str, files[:MOST_NAMED]))}{more}."


def _is_reached(path: Path) -> bool:
    return all(_allows(folder, OTHERS_ENTER) for folder in path.resolve().parents)


def _walk(start: Path) -> Iterator[Path]:
    """Give a file, or what others can get at in a folder, the files right in it first."""
    if not start.is_dir():
        yield start
    for folder, names, files in os.walk(start):
        if not _allows(Path(folder), OTHERS_ENTER):
            names.clear()
            continue
        yield from (Path(folder, name) for name in files)


def _allows(path: Path, bits: int) -> bool:
    """Answer whether the mode gives one of the bits to others; what is gone, or a link, gives nothing."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & bits)
