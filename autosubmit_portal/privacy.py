"""Keep the portal's files from other accounts of the host. Needs no Django.

Whoever reads the database has every session; whoever reads the secret key can run code as the portal.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from autosubmit_portal.sentences import say

PRIVATE_UMASK = 0o077
OTHERS = 0o077
OTHERS_READ = 0o044
OTHERS_ENTER = 0o011
# A portal of a year has a hundred thousand run directories; what is open is mostly open everywhere.
MOST_ENTRIES = 2_000
MOST_NAMED = 5
REMEDY = say("Take it from them (`chmod -R go-rwx`), as the account that owns it.")


def close_to_others(home: Path) -> int:
    """Close `home`, the files right in it, and all that this process makes from now on to other accounts.

    Returns the umask of before. Files of other accounts and folders that all may write to stay as they are:
    `find_open_files` names them. If `home` cannot be made, whoever writes there first reports that.
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


def find_open_files(paths: Iterable[Path]) -> list[Path]:
    """Return which of these files, and of those in these folders, others can read; looks at MOST_ENTRIES at most."""
    found = (path for start in paths if _is_reached(start) for path in _walk(start))
    return [path for path in islice(found, MOST_ENTRIES) if _is_open_to_others(path, OTHERS_READ) and not path.is_dir()]


def describe_open_files(files: list[Path]) -> str:
    """Return a sentence that names some of the files."""
    names, left = ", ".join(map(str, files[:MOST_NAMED])), len(files) - MOST_NAMED
    named = say("{names} and {number} more", names=names, number=left) if left > 0 else names
    return say("Other accounts of this host can read {files}.", files=named)


def _is_reached(path: Path) -> bool:
    return all(_is_open_to_others(folder, OTHERS_ENTER) for folder in path.resolve().parents)


def _walk(start: Path) -> Iterator[Path]:
    """Yield a file, or what others can reach in a folder, its own files first."""
    if not start.is_dir():
        yield start
    for folder, names, files in os.walk(start):
        if not _is_open_to_others(Path(folder), OTHERS_ENTER):
            names.clear()
            continue
        yield from (Path(folder, name) for name in files)


def _is_open_to_others(path: Path, bits: int) -> bool:
    """Return whether others have one of the bits; not for links and what is gone."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & bits)
