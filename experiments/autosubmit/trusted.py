"""Check that only root and the portal's account can change a file or folder, or replace it.

Its content decides what is executed as the portal's account. So others may not write it, nor any folder above it,
where they could replace it.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from autosubmit_portal.sentences import marked, say

_SUPERUSER = 0
_BY_ALL = marked("{place} can be written by everybody")
_BY_GROUP = marked("{place} can be written by its group")


def explain_distrust(path: Path) -> str:
    """Return who besides root and this account can change the file or folder at an absolute path; blank if nobody.

    Links on the way are followed and checked too. A missing path can be made by everybody who may write above it.
    """
    for place, status in _list_places(path):
        is_end = place == path
        if status.st_uid not in (_SUPERUSER, os.getuid()):
            return say("{place} belongs to {owner}", place=place, owner=_get_account_name(status.st_uid))
        if not stat.S_ISLNK(status.st_mode) and _is_open(status.st_mode, is_end=is_end):
            form = _BY_ALL if status.st_mode & stat.S_IWOTH else _BY_GROUP
            return say(form, place=place)
    return ""


def _is_open(mode: int, *, is_end: bool) -> bool:
    """Return whether others may write; in a sticky folder such as /tmp nobody can replace files of others."""
    is_sticky = stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX) and not is_end
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH)) and not is_sticky


def _list_places(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is there on the way to a path, from the root on, and on the way to where links lead."""
    seen: set[Path] = set()
    ways = [path]
    while ways:
        way = ways.pop()
        for place in (*reversed(way.parents), way):
            try:
                status = os.lstat(place)
            except OSError:
                break
            if place not in seen:
                seen.add(place)
                yield place, status
                if stat.S_ISLNK(status.st_mode):
                    ways.append(_follow_link(place) / way.relative_to(place))


def _follow_link(link: Path) -> Path:
    return Path(os.path.normpath(Path(os.path.realpath(link.parent)) / os.readlink(link)))


def _get_account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return say("the account {uid}", uid=uid)
