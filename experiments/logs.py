"""The logs of an experiment or of one of its jobs, read by the agent of its site; and whether more is still written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError, fields, strict_json
from experiments import reads
from experiments.models import Experiment
from jobs.autosubmit.logs.reader import LogFile, NoSuchLog
from jobs.autosubmit.logs.search import Found, Match
from jobs.autosubmit.secrets import cover, mask_text
from jobs.autosubmit.statuses import ACTIVE
from jobs.autosubmit.values import to_moment
from jobs.models import Job

QUIET_SECONDS = 60.0
"""A command writes to its log at least so often, unless it is a run."""

_PIECE_BYTES, _COMPRESSED_PIECE_BYTES = 1024 * 1024, 16 * 1024 * 1024
"""All before a piece of a compressed log is unpacked each time."""

_LONGEST_NAME = 1_000
_LONGEST_PATH = 5_000


@dataclass(frozen=True)
class Logs:
    """The logs of an experiment, or of one of its jobs."""

    experiment: Experiment
    job: Job | None = None

    def list_files(self) -> list[LogFile]:
        """Return the logs, the one written last first. Raises BrokenStore."""
        document = reads.read_document(self.experiment, "logs", self.names)
        with reads.understand(self.experiment.site):
            return [_take_file(row) for row in fields.take_objects(document, "logs")]

    def open(self, name: str) -> "Log":
        """Return a log by its bare name, compressed or not. Raises NoSuchLog and BrokenStore."""
        log = Log(self, name)
        log.read(0, 0)
        return log

    def read(self, name: str, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes of a log, asking once; a negative `offset` is from the end.

        Raises NoSuchLog and BrokenStore.
        """
        return Log(self, name).read(offset, limit)

    def find_paths(self) -> dict[str, str]:
        """Return where the logs of the newest attempt are, by their names; without those that cannot be read."""
        document = reads.read_document(self.experiment, "log paths", self.names)
        with reads.understand(self.experiment.site):
            found = fields.take_object(document, "paths")
            return {name: fields.take_text(found, name, most=_LONGEST_PATH) for name in found}

    @cached_property
    def names(self) -> dict[str, Any]:
        """What the agent is told of whose they are; nothing of those of the experiment."""
        job = self.job
        return {"job": job.name, "named": [name for name in (job.out_log, job.err_log) if name]} if job else {}


class Log:
    """A log as it was when it was last asked for. What is read is unpacked, without secrets.

    Raises NoSuchLog, also when it cannot be read any more, and BrokenStore.
    """

    def __init__(self, logs: Logs, name: str) -> None:
        self._logs, self._asked = logs, name
        self.name = self.plain_name = name
        self.identity = ""
        self.size = self.stored_size = self.modified_ns = self.quiet_seconds = 0
        self.is_compressed = False

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most `limit` bytes from `offset`."""
        answer, data = self._ask("log", {"offset": offset, "limit": limit})
        with reads.understand(self._logs.experiment.site):
            self._take(answer)
            if len(data) > limit:
                raise ProtocolError("more bytes than were asked for")
        return _cover_again(data)

    def iterate_blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end`; fewer when another file takes its place."""
        identity = self.identity
        while start < end:
            most = _COMPRESSED_PIECE_BYTES if self.is_compressed else _PIECE_BYTES
            block = self.read(start, min(most, end - start))
            if not block or self.identity != identity:
                return
            start += len(block)
            yield block

    def search(self, text: str, *, offset: int, line: int, limit: int, ignore_case: bool) -> Found:
        """Look for `text`, see `jobs.autosubmit.logs.search`."""
        looked = {"text": text, "offset": offset, "line": line, "most_matches": limit, "ignore_case": ignore_case}
        answer, data = self._ask("log search", looked)
        with reads.understand(self._logs.experiment.site):
            self._take(answer)
            return _take_found(strict_json.decode_document(data))

    def _ask(self, what: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        try:
            return reads.read(self._logs.experiment, what, {**self._logs.names, "name": self._asked, **arguments})
        except (reads.Missing, reads.Unreadable) as error:
            raise NoSuchLog(str(error)) from error

    def _take(self, answer: dict[str, Any]) -> None:
        self.name = fields.take_text(answer, "name", most=_LONGEST_NAME)
        self.plain_name = fields.take_text(answer, "plain_name", most=_LONGEST_NAME)
        self.identity = fields.take_text(answer, "file")
        self.size = fields.take_number(answer, "size")
        self.stored_size = fields.take_number(answer, "stored_size")
        self.modified_ns = fields.take_number(answer, "modified_ns", least=-(2**63))
        self.quiet_seconds = fields.take_number(answer, "quiet_seconds")
        self.is_compressed = fields.take_flag(answer, "is_compressed")


def _cover_again(data: bytes) -> bytes:
    """Cover secrets that an agent has left, but in the first word: the name of something may begin before it."""
    first = re.search(rb"\s|$", data)
    begin = first.start() if first else 0
    return data[:begin] + cover(data[begin:])


def is_log_over(log: Log, experiment: Experiment, job: Job | None = None) -> bool:
    """Answer whether nothing more will be written to a log: the job, or the run and any other command, has ended.

    Of a job whose end nobody wrote down, and of an attempt before, that is told by the file.
    """
    if log.is_compressed:
        return True
    if job is not None and (job.status in ACTIVE or job.finished_at is not None):
        return job.status not in ACTIVE
    is_quiet = log.quiet_seconds > QUIET_SECONDS
    return is_quiet and (job is not None or not experiment.is_running)


def _take_file(row: dict[str, Any]) -> LogFile:
    return LogFile(
        name=fields.take_text(row, "name", most=_LONGEST_NAME),
        kind=fields.take_text(row, "kind", most=_LONGEST_NAME),
        size=fields.take_number(row, "size"),
        modified_at=to_moment(_take_time(row, "modified_at")),
        is_compressed=fields.take_flag(row, "is_compressed"),
    )


def _take_time(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"“{name}” must be a number")
    return value


def _take_found(document: dict[str, Any]) -> Found:
    matches = [
        Match(
            line=fields.take_number(row, "line"),
            offset=fields.take_number(row, "offset"),
            length=fields.take_number(row, "length"),
            excerpt=mask_text(fields.take_text(row, "excerpt", most=2_000)),
        )
        for row in fields.take_objects(document, "matches")
    ]
    return Found(
        matches,
        next_offset=fields.take_number(document, "next_offset"),
        next_line=fields.take_number(document, "next_line"),
        is_complete=fields.take_flag(document, "is_complete"),
    )
