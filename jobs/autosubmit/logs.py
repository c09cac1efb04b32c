"""The logs that jobs leave in `<expid>/tmp/LOG_<expid>/`, read by pieces.

With `COMPRESS_REMOTE_LOGS` Autosubmit compresses them (`.gz`, `.xz`); they are read as if it had not. Their names come
from files that other local users may write, so a name is followed only inside the experiment.
"""

import os
import stat
from pathlib import Path

from jobs.autosubmit.compressed import SUFFIXES, is_compressed, read_part


class LogOutsideStore(Exception):
    """A name that is not that of a log inside the experiment's folder; the text says which."""


def log_path(experiment_folder: Path, name: str) -> Path:
    """Return the path of a job's log by its bare file name, whether the file exists or not.

    Where only a compressed file of that name exists it is that. Raises LogOutsideStore for a name with a folder in it,
    and for a link that leads out of the experiment.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise LogOutsideStore(f"{name!r} is not the bare name of a log.")
    folder = experiment_folder.resolve()
    try:
        path = _existing(folder / "tmp" / f"LOG_{experiment_folder.name}" / name).resolve()
    except (OSError, RuntimeError) as error:
        raise LogOutsideStore(f"The log {name!r} cannot be followed: {error}.") from error
    if not path.is_relative_to(folder):
        raise LogOutsideStore(f"The log {name!r} leads out of the folder of {experiment_folder.name}.")
    return path


def _existing(path: Path) -> Path:
    names = (path, *(path.with_name(path.name + suffix) for suffix in SUFFIXES))
    return next((name for name in names if name.exists()), path)


def read_log(path: Path, offset: int, limit: int) -> tuple[bytes, int]:
    """Return at most `limit` bytes from `offset`, and the size of the whole log in bytes, both when unpacked.

    A negative offset counts from the end. Raises OSError when the file is absent, unreadable, broken or not a regular
    file.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        if is_compressed(path):
            return read_part(file, path.suffix, offset, limit)
        file.seek(max(0, status.st_size + offset) if offset < 0 else offset)
        return file.read(max(0, limit)), status.st_size


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, since a named pipe in the place of a log would wait for its writer for ever."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
