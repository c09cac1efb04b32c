"""The logs of an experiment and of its jobs, as they lie in its folder: which there are, and reading one by parts.

Autosubmit 4.1.17 writes `tmp/ASLOGS/<stamp>_<command>[_err].log` for each of its commands, and for each attempt at a
job `tmp/LOG_<expid>/<job>.<stamp>.out` and `.err`; the script of a job is `tmp/<job>.cmd`. With
`COMPRESS_REMOTE_LOGS` it compresses logs of jobs (`.gz`, `.xz`); they are read as if it had not. Other local users may
write in the folder, so it is left to `inside` what a name leads to.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import IO, Protocol

from jobs.autosubmit.compressed import SUFFIXES, unpacked, unpacked_size
from jobs.autosubmit.inside import LeadsOutside, files_inside, open_inside

BLOCK_BYTES = 256 * 1024
_YEAR_9999 = 253_402_300_799
_STAMP = re.compile(r"^\d{8}_\d{6}_")
_KINDS = {".out": "out", ".err": "err", ".cmd": "script"}


class NoSuchLog(Exception):
    """There is no log of this name that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log in a list. `kind` is `out`, `err`, `script` or `other` of a job, and otherwise the command that wrote it.

    `size` is in bytes as it lies there, `is_compressed` says whether it holds more.
    """

    name: str
    kind: str
    size: int
    modified_at: datetime
    is_compressed: bool


class Log:
    """An open log. It is to be closed; `with` does.

    What is read is unpacked: offsets and sizes are those of the content. Reading raises OSError where the file is
    broken or holds too much, see `compressed`.
    """

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name, self._file = name, file
        self._suffix = suffix if (suffix := PurePath(name).suffix) in SUFFIXES else ""

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def plain_name(self) -> str:
        """The name of its content, which is not compressed."""
        return self.name.removesuffix(self._suffix)

    @property
    def is_compressed(self) -> bool:
        """Whether the file is smaller than what it holds; Autosubmit compresses a log when it is finished."""
        return self._suffix != ""

    @property
    def status(self) -> os.stat_result:
        """What the file is like now."""
        return os.fstat(self._file.fileno())

    @property
    def identity(self) -> str:
        """Tells this file from another one that takes its name; it stays the same while the file grows."""
        return f"{self.status.st_dev:x}-{self.status.st_ino:x}"

    @property
    def size(self) -> int:
        """How many bytes it holds now."""
        return unpacked_size(self._file, self._suffix) if self._suffix else self.status.st_size

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset`."""
        return b"".join(self.blocks(offset, offset + limit))

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end`, or to where it ends now, in blocks of bounded size."""
        return self._unpacked_blocks(start, end) if self._suffix else self._plain_blocks(start, end)

    def _plain_blocks(self, start: int, end: int) -> Iterator[bytes]:
        while start < end and (block := os.pread(self._file.fileno(), min(BLOCK_BYTES, end - start), start)):
            start += len(block)
            yield block

    def _unpacked_blocks(self, start: int, end: int) -> Iterator[bytes]:
        if start >= min(end, self.size):  # known, where unpacking would take seconds
            return
        position = 0
        for block in unpacked(self._file, self._suffix):
            if position >= end:
                return
            if wanted := block[max(0, start - position) : end - position]:
                yield wanted
            position += len(block)


class Part:
    """A part of a log to be sent: its blocks, once, and the log is closed with it, whether it was sent or not."""

    def __init__(self, log: Log, start: int, end: int) -> None:
        self._log, self._blocks = log, log.blocks(start, end)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Close the log."""
        self._log.close()


class Shelf(Protocol):
    """The logs of something."""

    def files(self) -> list[LogFile]:
        """Return the logs, the one written last first; none when there is no folder for them."""

    def open(self, name: str) -> Log:
        """Open a log by its bare name, compressed or not. Raises NoSuchLog."""


@dataclass(frozen=True, slots=True)
class ExperimentLogs:
    """What Autosubmit's commands have logged about an experiment, in `folder`, the folder of the experiment."""

    folder: Path

    def files(self) -> list[LogFile]:
        """Return the logs, the one written last first."""
        return _newest_first(_files(self.folder, "tmp/ASLOGS", _is_shown, _command_of))

    def open(self, name: str) -> Log:
        """Open a log by its bare name, compressed or not. Raises NoSuchLog."""
        return _opened(self.folder, ["tmp/ASLOGS"], name)


@dataclass(frozen=True, slots=True)
class JobLogs:
    """The logs of every attempt at a job, and its script; `named` are those that the history names besides."""

    folder: Path
    job: str
    named: Sequence[str] = ()

    def files(self) -> list[LogFile]:
        """Return the logs, the one written last first."""
        scripts = _files(self.folder, "tmp", lambda name: name == f"{self.job}.cmd", _kind_of)
        logs = _files(self.folder, self._place, self._is_own, _kind_of)
        return _newest_first(
            [*scripts, *(log for log in logs if log.name not in {one.name for one in scripts})]
        )

    def open(self, name: str) -> Log:
        """Open a log by its bare name, compressed or not. Raises NoSuchLog."""
        if not self._is_own(name):
            raise NoSuchLog(f"{self.job} has no log {name!r}.")
        return _opened(
            self.folder, ["tmp", self._place] if name == f"{self.job}.cmd" else [self._place], name
        )

    @property
    def _place(self) -> str:
        return f"tmp/LOG_{self.folder.name}"

    def _is_own(self, name: str) -> bool:
        is_named = _plain(name) in map(_plain, self.named)
        return name.isprintable() and (name.startswith(f"{self.job}.") or is_named)


def log_path(experiment_folder: Path, name: str) -> Path:
    """Return where the log of a job is by its bare name, whether it exists or not. Raises NoSuchLog for other names."""
    _require_bare(name)
    return experiment_folder / "tmp" / f"LOG_{experiment_folder.name}" / name


def _require_bare(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise NoSuchLog(f"{name!r} is not the bare name of a log.")


def _opened(folder: Path, places: Sequence[str], name: str) -> Log:
    """Open a log in the first place that has it; where only a compressed file of that name exists, that one."""
    _require_bare(name)
    for path in (f"{place}/{name}{suffix}" for place in places for suffix in ("", *SUFFIXES)):
        try:
            return Log(PurePath(path).name, open_inside(folder, path))
        except FileNotFoundError:
            continue
        except LeadsOutside as error:
            raise NoSuchLog(str(error)) from error
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its name cannot be written"
            raise NoSuchLog(f"The log {name!r} cannot be read: {reason}.") from error
    raise NoSuchLog(f"There is no log {name!r} any more, or not yet.")


def _files(
    folder: Path, place: str, is_wanted: Callable[[str], bool], kind_of: Callable[[str], str]
) -> list[LogFile]:
    """Return the logs in a folder of the experiment; none if it is absent, unreadable or leads outside."""
    try:
        found = files_inside(folder, place, is_wanted)
    except (OSError, LeadsOutside):
        return []
    return [
        LogFile(
            name=name,
            kind=kind_of(_plain(name)),
            size=status.st_size,
            modified_at=datetime.fromtimestamp(min(max(0, status.st_mtime), _YEAR_9999), UTC),
            is_compressed=_plain(name) != name,
        )
        for name, status in found.items()
    ]


def _newest_first(files: list[LogFile]) -> list[LogFile]:
    return sorted(files, key=lambda file: (file.modified_at, file.name), reverse=True)


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name.isprintable()


def _plain(name: str) -> str:
    """Return a name without the suffix that says how it is compressed."""
    return name.removesuffix(PurePath(name).suffix) if PurePath(name).suffix in SUFFIXES else name


def _kind_of(name: str) -> str:
    return _KINDS.get(PurePath(name).suffix, "other")


def _command_of(name: str) -> str:
    return _STAMP.sub("", name).removesuffix(".log")
