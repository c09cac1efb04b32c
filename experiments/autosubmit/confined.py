"""Read small files of an experiment, but only inside its folder, wherever links lead."""

import io
from pathlib import Path

from autosubmit_portal.sentences import say
from jobs.autosubmit.logs.safe_open import LeadsOutside, open_inside


class TooLong(Exception):
    """The file is longer than the limit."""


def resolve_inside(folder: Path, path: Path) -> Path:
    """Return the real path of `path`, which is relative to `folder` or absolute.

    Raises LeadsOutside, or OSError if it is nowhere.
    """
    root = folder.resolve()
    try:
        real = (root / path).resolve()
    except (RuntimeError, ValueError) as error:  # a ring of links, or a NUL
        raise OSError(say("{path} cannot be followed: {error}", path=path, error=error)) from error
    if not real.is_relative_to(root):  # whether it is there is nobody's business
        raise LeadsOutside(say("{path} leads out of {folder}", path=path, folder=folder))
    real.lstat()
    return real


def read_inside(folder: Path, path: Path, limit: int) -> bytes:
    """Return the content of a regular file inside `folder`, of at most `limit` bytes.

    Links are followed as long as they stay inside. Raises LeadsOutside, TooLong and OSError.
    """
    name = resolve_inside(folder, path).relative_to(folder.resolve())
    with io.BufferedReader(open_inside(folder, str(name))) as opened:
        content = opened.read(limit + 1)
    if len(content) > limit:
        raise TooLong(say("it is longer than {most} bytes", most=f"{limit:,}"))
    return content
