"""The logs of an experiment and of its jobs, as they lie in its folder: which there are, and reading one by parts.

Autosubmit 4.1.17 writes `tmp/ASLOGS/<stamp>_<command>[_err].log` for each of its commands, and for each attempt at a
job in `tmp/LOG_<expid>`

| file | of |
| --- | --- |
| `<job>.<stamp>.out`, `.err` | the first attempt |
| `<job>.<stamp>.out_attempt_N`, `.err_attempt_N` | the attempt after the N-th failure |
| `<job>.cmd.out.N`, `.err.N` | an attempt that has not ended, on the platform local |

The script of a job is `tmp/<job>.cmd`. With `COMPRESS_REMOTE_LOGS` it compresses logs of jobs (`.gz`, `.xz`); they are
read as if it had not. The name that it records for an attempt may have another stamp than the file. Other local users
may write in the folder, so it is left to `inside` what a name leads to.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import IO, Protocol

from autosubmit_portal.sentences import say
from jobs.autosubmit.logs.decompress import SUFFIXES, measure_unpacked, unpack
from jobs.autosubmit.logs.safe_open import LeadsOutside, list_files_inside, open_inside
from jobs.autosubmit.secrets import cover_blocks
from jobs.autosubmit.values import to_moment

BLOCK_BYTES = 256 * 1024
_STAMP = re.compile(r"^\d{8}_\d{6}_")
_OUTPUT_WORDS = r"(?P<kind>out|err)(?:(?:_attempt_|\.)(?P<attempt>[0-9]{1,9}))?"
_OUTPUT = re.compile(rf"(?:^|\.)(?:(?P<stamp>[0-9]{{14}})\.)?{_OUTPUT_WORDS}$")
# What follows the name of a job and a dot. Another job may have a name that begins with both.
_OF_JOB = re.compile(rf"cmd|(?:(?:cmd|[0-9]+|None)\.)?{_OUTPUT_WORDS}")


class NoSuchLog(Exception):
    """There is no log of this name that can be read; the text says why."""


class AbsentLog(NoSuchLog):
    """There is no file of this name."""


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
        return measure_unpacked(self._file, self._suffix) if self._suffix else self.status.st_size

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset`."""
        return b"".join(self.iterate_blocks(offset, offset + limit))

    def iterate_blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end`, or to where it ends now, in blocks of bounded size.

        Secrets are covered, with as many `*`.
        """
        return cover_blocks(self.iterate_uncovered, start, min(end, self.size))

    def iterate_uncovered(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the same with its secrets, which are not to be shown."""
        return self._iterate_unpacked(start, end) if self._suffix else self._iterate_plain(start, end)

    def _iterate_plain(self, start: int, end: int) -> Iterator[bytes]:
        while start < end and (block := os.pread(self._file.fileno(), min(BLOCK_BYTES, end - start), start)):
            start += len(block)
            yield block

    def _iterate_unpacked(self, start: int, end: int) -> Iterator[bytes]:
        if start >= min(end, self.size):  # known, where unpacking would take seconds
            return
        position = 0
        for block in unpack(self._file, self._suffix):
            if position >= end:
                return
            if wanted := block[max(0, start - position) : end - position]:
                yield wanted
            position += len(block)


class LogPart:
    """A part of a log to be sent: its blocks, once, and the log is closed with it, whether it was sent or not."""

    def __init__(self, log: Log, start: int, end: int) -> None:
        self._log, self._blocks = log, log.iterate_blocks(start, end)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Close the log."""
        self._log.close()


class Logs(Protocol):
    """The logs of something."""

    def list_files(self) -> list[LogFile]:
        """Return the logs, the one written last first; none when there is no folder for them."""

    def open(self, name: str) -> Log:
        """Open a log by its bare name, compressed or not. Raises NoSuchLog."""


@dataclass(frozen=True, slots=True)
class ExperimentLogs:
    """What Autosubmit's commands have logged about an experiment, in `folder`, the folder of the experiment."""

    folder: Path

    def list_files(self) -> list[LogFile]:
        """Return the logs, the one written last first."""
        return _sort_newest_first(_list_files(self.folder, "tmp/ASLOGS", _is_shown, _get_command))

    def open(self, name: str) -> Log:
        """Open a log by its bare name, compressed or not. Raises NoSuchLog."""
        return _open_log(self.folder, ["tmp/ASLOGS"], name)


@dataclass(frozen=True, slots=True)
class JobLogs:
    """The logs of every attempt at a job, and its script; `named` are those that the history names besides."""

    folder: Path
    job: str
    named: Sequence[str] = ()

    def list_files(self) -> list[LogFile]:
        """Return the logs, the one written last first."""
        scripts = _list_files(self.folder, "tmp", lambda name: name == f"{self.job}.cmd", _get_kind)
        logs = _list_files(self.folder, self._place, self._make_own_filter(), _get_kind)
        return _sort_newest_first([*scripts, *(log for log in logs if log.name not in {one.name for one in scripts})])

    def open(self, name: str) -> Log:
        """Open a log by its bare name, compressed or not; by one that is recorded what stands for it.

        Raises NoSuchLog.
        """
        if not self._make_own_filter()(name):
            raise NoSuchLog(say("{job} has no log {name}.", job=self.job, name=repr(name)))
        places = ["tmp", self._place] if name == f"{self.job}.cmd" else [self._place]
        try:
            return _open_log(self.folder, places, name)
        except AbsentLog:
            substitute = self._find_newest_like(name) if name in self.named else None
            if substitute is None:
                raise
            return _open_log(self.folder, places, substitute)

    def find_path(self, name: str) -> Path | None:
        """Return where the log is that a recorded name stands for; None if there is none that can be read."""
        try:
            with self.open(name) as log:
                return self.folder / self._place / log.name
        except NoSuchLog:
            return None

    @property
    def _place(self) -> str:
        return f"tmp/LOG_{self.folder.name}"

    def _find_newest_like(self, recorded: str) -> str | None:
        """Return the newest log of the kind and the attempt that a recorded name says, if it is no older one."""
        wanted = _parse_output(recorded)
        return next((file.name for file in self.list_files() if wanted and wanted.may_be(file.name)), None)

    def _make_own_filter(self) -> Callable[[str], bool]:
        """Return what answers whether a name is one of these logs; it is asked of each in the folder."""
        prefix, named = f"{self.job}.", frozenset(map(_strip_suffix, self.named))
        beginnings = (prefix, *named)

        def is_own(name: str) -> bool:
            if not name.startswith(beginnings) or not name.isprintable():
                return False
            plain = _strip_suffix(name)
            is_of_job = plain.startswith(prefix) and _OF_JOB.fullmatch(plain, len(prefix)) is not None
            return is_of_job or plain in named

        return is_own


def _require_bare(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise NoSuchLog(say("{name} is not the bare name of a log.", name=repr(name)))


def _open_log(folder: Path, places: Sequence[str], name: str) -> Log:
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
            reason = error.strerror if isinstance(error, OSError) else say("its name cannot be written")
            raise NoSuchLog(say("The log {name} cannot be read: {reason}.", name=repr(name), reason=reason)) from error
    raise AbsentLog(say("There is no log {name} any more, or not yet.", name=repr(name)))


def _list_files(
    folder: Path, place: str, is_wanted: Callable[[str], bool], kind_of: Callable[[str], str]
) -> list[LogFile]:
    """Return the logs in a folder of the experiment; none if it is absent, unreadable or leads outside."""
    try:
        found = list_files_inside(folder, place, is_wanted)
    except (OSError, LeadsOutside):
        return []
    return [
        LogFile(
            name=name,
            kind=kind_of(_strip_suffix(name)),
            size=status.st_size,
            modified_at=to_moment(status.st_mtime),
            is_compressed=_strip_suffix(name) != name,
        )
        for name, status in found.items()
    ]


def _sort_newest_first(files: list[LogFile]) -> list[LogFile]:
    return sorted(files, key=lambda file: (file.modified_at, file.name), reverse=True)


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name.isprintable()


def _strip_suffix(name: str) -> str:
    """Return a name without the suffix that says how it is compressed."""
    return name.removesuffix(PurePath(name).suffix) if PurePath(name).suffix in SUFFIXES else name


def _get_kind(name: str) -> str:
    output = _parse_output(name)
    return output.kind if output else "script" if name.endswith(".cmd") else "other"


@dataclass(frozen=True, slots=True)
class _Output:
    """What the name of an output says: `out` or `err`, of which attempt, and when it was sent, if it says so."""

    kind: str
    attempt: int
    stamp: str

    def may_be(self, name: str) -> bool:
        """Answer whether a file is the one that was recorded as this: the stamp may be that of an earlier try."""
        file = _parse_output(name)
        return (
            file is not None
            and (file.kind, file.attempt) == (self.kind, self.attempt)
            and not (file.stamp and file.stamp < self.stamp)
        )


def _parse_output(name: str) -> _Output | None:
    found = _OUTPUT.search(_strip_suffix(name))
    return _Output(found["kind"], int(found["attempt"] or 0), found["stamp"] or "") if found else None


def is_log_of(name: str, recorded: str) -> bool:
    """Answer whether a log may be the one that the history recorded as this: of the same kind and attempt, not older.

    A log whose name does not say when it was sent is only of its own name.
    """
    output, file = _parse_output(recorded), _parse_output(name)
    return _strip_suffix(name) == recorded or bool(output and file and file.stamp and output.may_be(name))


def _get_command(name: str) -> str:
    return _STAMP.sub("", name).removesuffix(".log")
