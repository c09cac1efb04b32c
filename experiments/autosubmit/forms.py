"""What an agent tells of experiments, and how the portal understands it.

`tell_…` makes plain JSON, at the agent; `understand_…` makes the same of it again, at the portal, which believes an
agent no more than a browser: what has another form is a ProtocolError.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from autosubmit_portal.agent.accounts import get_name
from autosubmit_portal.agent.protocol import ProtocolError, strict_json
from autosubmit_portal.agent.protocol.fields import (
    refuse_others,
    take_expid,
    take_flag,
    take_number,
    take_object,
    take_text,
)
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.sentences import say
from experiments.autosubmit.liveness import Liveness
from experiments.autosubmit.plans import (
    HIGHEST_LIMIT,
    LIMITED,
    LONGEST_SECTION,
    LONGEST_SLEEP_SECONDS,
    LONGEST_VALUE,
    MOST_PLATFORMS,
    MOST_SECTIONS,
    PLANNED,
    Limits,
    ReadPlans,
)
from experiments.autosubmit.store import NO_OWNER, ExperimentRecord, Fingerprint, Recorded, Store
from jobs.autosubmit.edges import Edge
from jobs.autosubmit.history import JobTimes, RunRecord
from jobs.autosubmit.job_record import COLUMNS, LONGEST_NAME, JobRecord
from jobs.autosubmit.pickles.formats import MAX_EDGES, MAX_JOBS
from jobs.autosubmit.records import list_columns
from jobs.autosubmit.refusal import Refused
from jobs.autosubmit.secrets import mask_text
from jobs.autosubmit.values import LARGEST_NUMBER, LONGEST_TEXT, UTC, YEAR_9999, to_moment, to_text

MOST_RECORDS = 20
"""Experiments with one name."""

LONGEST_EVIDENCE, LONGEST_HOLDER = 300, 200
LONGEST_ABSENCE = 1_000
MOST_RUNS = 20_000
MOST_REMOVED = 10_000
MOST_COMMANDS, LONGEST_COMMAND = 100, 50
LONGEST_MARK = 100
"""Of a revision and of other marks."""

MOST_LINES_BYTES = 512 * 1024 * 1024
"""Of the lines of an experiment when they are expanded: 500,000 jobs take about 200 MB."""

_LONGEST_TEXT = 20_000
_LONGEST_OWNER = 100
_MOST_STAMPS = 20
# A character has as many at most.
_IN_UPPER_CASE = 3
# A time in ns may have more than 64 bits.
_LARGEST = 2**100
MOST_LINE_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 512 * 1024
_COMMAND = re.compile(r"[a-z]+")

Owner = tuple[int, str]
"""The uid of the folder of an experiment, and what the host calls it; see `Experiment.owner_uid`."""

_TEXTS_OF_RECORD = ("description", "recorded_owner", "hpc", "version", "model", "branch")

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class RunState:
    """What the process that holds the lock of an experiment is and does, as `Liveness` finds it at its host.

    An agent from before they were told says neither `owner` nor `command`.
    """

    is_running: bool
    pid: int | None
    evidence: str
    locked_by: str = ""
    ignores_interrupt: bool = False
    is_asleep: bool = False
    owner: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class FreshReading:
    """The state of one experiment now: `records` has what the store has under its name, `absence` why it has no folder.

    `owner` is None without a folder.
    """

    records: list[ExperimentRecord]
    owner: Owner | None
    absence: str
    alive: RunState
    are_locks_known: bool
    files: Fingerprint


@dataclass(frozen=True, slots=True)
class ExperimentReading:
    """What the store says of one experiment: why it has no folder, or its jobs, their attempts, edges and runs.

    With a `base` the jobs are those that are new or changed since that revision, and `removed` those that are gone.
    `plans` are None where they are those that the portal has, and so are `edges`; without `has_edges` the store knows
    of none. `edges_mark` changes with the edges and with the names of the jobs. `commands` are those that were at work
    when the job list changed. `records` are what the store has under its name after all of that was read: if it is
    another experiment, what was read may be of either.
    """

    records: list[ExperimentRecord]
    absence: str
    files: Fingerprint
    alive: RunState
    changed_at: datetime | None
    commands: list[str] = field(default_factory=list)
    runs: list[RunRecord] = field(default_factory=list)
    plans: ReadPlans | None = None
    base: str = ""
    revision: str = ""
    jobs: list[JobRecord] = field(default_factory=list)
    attempts: dict[str, JobTimes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    edges: list[Edge] | None = None
    has_edges: bool = False
    edges_mark: str = ""


def make_run_state(alive: Liveness) -> RunState:
    """Ask the kernel of this host what `Liveness` can say of a process."""
    return RunState(
        alive.is_running,
        alive.pid,
        alive.evidence[:LONGEST_EVIDENCE],
        alive.locked_by[:LONGEST_HOLDER],
        alive.ignores_interrupt,
        alive.is_asleep,
        alive.owner[:_LONGEST_OWNER],
        mask_text(alive.command)[:LONGEST_EVIDENCE],
    )


def tell_run_state(state: RunState) -> Message:
    """Return what the lock of an experiment says, as an object."""
    return _get_parts(state)


def understand_run_state(value: object) -> RunState:
    """Return what such an object says."""
    usual = {"owner": "", "command": ""} | value if isinstance(value, dict) else value
    told = _require_object(usual, *(each.name for each in fields(RunState)))
    return RunState(
        take_flag(told, "is_running"),
        None if told.get("pid") is None else take_number(told, "pid", least=1, most=LARGEST_NUMBER),
        take_text(told, "evidence", most=LONGEST_EVIDENCE),
        take_text(told, "locked_by", most=LONGEST_HOLDER),
        take_flag(told, "ignores_interrupt"),
        take_flag(told, "is_asleep"),
        take_text(told, "owner", most=_LONGEST_OWNER),
        take_text(told, "command", most=LONGEST_EVIDENCE),
    )


def read_owner(store: Store, expid: str, find_name: Callable[[int], str] = get_name) -> Owner | None:
    """Return who owns the folder of an experiment; None if it has none, as while it is archived."""
    uid = store.read_folder_owner(expid)
    if uid is None:
        return None
    return uid, "" if uid == NO_OWNER else find_name(uid)[:_LONGEST_OWNER]


def understand_owner(value: object) -> Owner | None:
    """Return the owner that was told as a list, or as null."""
    if value is None:
        return None
    uid, name = _require_list(value, 2)
    return _require_whole(uid, NO_OWNER, 2**32 - 1), _require_text(name, _LONGEST_OWNER)


def understand_fingerprint(value: object) -> Fingerprint:
    """Return the fingerprint of which JSON has made lists."""
    stamps = (_require_list(stamp, 3) for stamp in _require_list(value, most=_MOST_STAMPS))
    return tuple(
        (
            _require_whole(time, -_LARGEST, _LARGEST),
            _require_whole(size, 0, _LARGEST),
            _require_whole(inode, 0, _LARGEST),
        )
        for time, size, inode in stamps
    )


def tell_record(record: ExperimentRecord) -> Message:
    """Return what `autosubmit.db` has of an experiment, without the secrets that people typed, as an object."""
    told = {name: _tell_text(value) if isinstance(value, str) else value for name, value in _get_parts(record).items()}
    return told | {"created_at": _tell_moment(record.created_at)}


def understand_record(value: object) -> ExperimentRecord:
    """Return the record that such an object is of."""
    told = _require_object(value, *(each.name for each in fields(ExperimentRecord)))
    return ExperimentRecord(
        autosubmit_id=take_number(told, "autosubmit_id", least=-LARGEST_NUMBER, most=LARGEST_NUMBER),
        expid=take_expid(told, "expid"),
        created_at=_understand_moment(told["created_at"]),
        **{name: take_text(told, name, most=_LONGEST_TEXT) for name in _TEXTS_OF_RECORD},
    )


def understand_records(value: object) -> list[ExperimentRecord]:
    """Return the records of one name."""
    return [*map(understand_record, _require_list(value, most=MOST_RECORDS))]


def tell_recorded(recorded: Recorded) -> list[str | None]:
    """Return what the status table says, as a list."""
    return [recorded.status, _tell_moment(recorded.at)]


def understand_recorded(value: object) -> Recorded:
    """Return what such a list says."""
    status, at = _require_list(value, 2)
    return Recorded(_require_text(status, 20), _understand_moment(at))


def tell_run(run: RunRecord) -> list[Any]:
    """Return the values of a run of the history."""
    return [*map(_tell_value, _get_values(run))]


def tell_times(times: JobTimes) -> list[Any]:
    """Return the values of an attempt at a job."""
    return [*map(_tell_value, _get_values(times))]


def tell_job(job: JobRecord) -> list[Any]:
    """Return the values of a job; its date has no zone, as in a job list."""
    values = _get_values(job)
    values[_DATE] = job.date.replace(tzinfo=None).isoformat() if job.date else None
    return values


def understand_fresh(data: bytes) -> FreshReading:
    """Return what the reading “fresh” has answered."""
    told = _require_object(strict_json.decode_document(data), *(each.name for each in fields(FreshReading)))
    return FreshReading(
        understand_records(told["records"]),
        understand_owner(told["owner"]),
        take_text(told, "absence", most=LONGEST_ABSENCE),
        understand_run_state(told["alive"]),
        take_flag(told, "are_locks_known"),
        understand_fingerprint(told["files"]),
    )


def understand_stops(value: Message) -> datetime | None:
    """Return what the reading “stops” has answered: when a command last stopped the run, None if none did."""
    return _understand_seconds(_require_object(value, "stopped_at")["stopped_at"])


def make_lines(head: Message, jobs: Iterable[bytes], edges: Iterable[Edge]) -> Iterator[bytes]:
    """Yield the answer to the reading “experiment”: its head, then a line for each job, then for each edge."""
    yield tell_line(head)
    yield from jobs
    yield from map(tell_line, edges)


def tell_line(value: object) -> bytes:
    """Return a line of JSON. Raises OSError for one that is longer than the portal takes."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
    if len(line) > MOST_LINE_BYTES:
        raise OSError(say("One experiment has more runs than fit into {most} bytes.", most=f"{MOST_LINE_BYTES:,}"))
    return line


def understand_experiment(value: Message, data: bytes) -> ExperimentReading:
    """Return what the reading “experiment” has answered."""
    is_compressed = take_flag(_require_object(value, "is_compressed"), "is_compressed")
    lines = _decode_lines(_expand(data) if is_compressed else iter([data]))
    head = _require_object(next(lines, None), *_HEAD)
    reading = _understand_head(head)
    _add_jobs(reading, islice(lines, take_number(head, "jobs", most=MAX_JOBS)))
    if len(reading.jobs) != head["jobs"]:
        raise ProtocolError("fewer jobs than were announced")
    if reading.edges is not None:
        reading.edges.extend(map(_understand_edge, islice(lines, take_number(head, "edges", most=MAX_EDGES))))
        if len(reading.edges) != head["edges"]:
            raise ProtocolError("fewer edges than were announced")
    if next(lines, None) is not None:
        raise ProtocolError("more lines than were announced")
    return reading


_HEAD = (
    *("records", "absence", "files", "alive", "changed_at", "commands", "runs", "plans"),
    *("base", "revision", "jobs", "removed", "edges", "edges_mark", "has_edges"),
)


def _understand_head(told: Message) -> ExperimentReading:
    return ExperimentReading(
        records=understand_records(told["records"]),
        absence=take_text(told, "absence", most=LONGEST_ABSENCE),
        files=understand_fingerprint(told["files"]),
        alive=understand_run_state(told["alive"]),
        changed_at=_understand_seconds(told["changed_at"]),
        commands=[*map(_require_command, _require_list(told["commands"], most=MOST_COMMANDS))],
        runs=[_read_values(RunRecord, run) for run in _require_list(told["runs"], most=MOST_RUNS)],
        plans=_understand_plans(told["plans"]),
        base=take_text(told, "base", most=LONGEST_MARK),
        revision=take_text(told, "revision", most=LONGEST_MARK),
        removed=[_require_text(name, LONGEST_NAME) for name in _require_list(told["removed"], most=MOST_REMOVED)],
        edges=None if told["edges"] is None else [],
        has_edges=take_flag(told, "has_edges"),
        edges_mark=take_text(told, "edges_mark", most=LONGEST_MARK),
    )


def _add_jobs(reading: ExperimentReading, lines: Iterable[Any]) -> None:
    for line in lines:
        told, times = _require_list(line, 2)
        *values, wrapper = _require_list(told, len(COLUMNS) + 1)
        try:
            job = _read_values(JobRecord, values, to_text(wrapper))
        except Refused as refusal:
            raise ProtocolError(str(refusal)) from refusal
        reading.jobs.append(job)
        if times is not None:
            reading.attempts[job.name] = _read_values(JobTimes, times)


def _understand_edge(value: object) -> Edge:
    parent, child = _require_list(value, 2)
    return _require_text(parent, LONGEST_TEXT), _require_text(child, LONGEST_TEXT)


def _understand_plans(value: object) -> ReadPlans | None:
    """Return the plans that were told; an agent from before leaves out what was not told then."""
    if value is None:
        return None
    more = {"sleep_seconds", "limits"} & value.keys() if isinstance(value, dict) else ()
    told = _require_object(value, "plans", "source", *more)
    plans = take_object(told, "plans")
    if len(plans) > MOST_SECTIONS:
        raise ProtocolError(f"plans of more than {MOST_SECTIONS} sections")
    names = (_require_text(section, _IN_UPPER_CASE * LONGEST_SECTION) for section in plans)
    understood = dict(zip(names, map(_understand_plan, plans.values()), strict=True))
    is_told = told.get("sleep_seconds") is not None
    sleep_seconds = take_number(told, "sleep_seconds", most=LONGEST_SLEEP_SECONDS) if is_told else None
    limits = _understand_limits(told.get("limits", {}))
    return ReadPlans(understood, take_text(told, "source", most=60), sleep_seconds, limits)


def _understand_limits(value: object) -> Limits:
    if not isinstance(value, dict) or len(value) > MOST_PLATFORMS + 1:
        raise ProtocolError(f"“limits” must be an object of at most {MOST_PLATFORMS + 1} platforms")
    names = (_require_text(name, _IN_UPPER_CASE * LONGEST_SECTION) for name in value)
    return dict(zip(names, map(_understand_limit, value.values()), strict=True))


def _understand_limit(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ProtocolError("a limit must be an object")
    refuse_others(value, *LIMITED)
    return {name: take_number(value, name, most=HIGHEST_LIMIT) for name in value}


def _understand_plan(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ProtocolError("a plan must be an object")
    refuse_others(value, *PLANNED)
    return {name: _require_text(planned, _IN_UPPER_CASE * LONGEST_VALUE) for name, planned in value.items()}


def _expand(data: bytes) -> Iterator[bytes]:
    """Yield what zlib expands data to, never much at once."""
    expander, expanded = zlib.decompressobj(), 0
    try:
        while not expander.eof:
            piece = expander.decompress(data, _PIECE_BYTES)
            data, expanded = expander.unconsumed_tail, expanded + len(piece)
            if expanded > MOST_LINES_BYTES or not (piece or data or expander.eof):
                raise ProtocolError("what is compressed is too long, or has no end")
            yield piece
    except zlib.error as error:
        raise ProtocolError(f"what is compressed is broken: {error}") from error
    if expander.unused_data:
        raise ProtocolError("more than what is compressed")


def _decode_lines(pieces: Iterable[bytes]) -> Iterator[Any]:
    """Yield the values of lines of JSON: those of a piece are decoded together."""
    left = b""
    for piece in pieces:
        whole, end, rest = piece.rpartition(b"\n")
        if end:
            yield from _decode_whole(left + whole)
        left = rest if end else left + rest
        if len(left) > MOST_LINE_BYTES:
            raise ProtocolError("a line that is too long")
    if left:
        raise ProtocolError("a line without its end")


def _decode_whole(lines: bytes) -> list[Any]:
    document = strict_json.decode_document(b'{"lines":[%b]}' % lines.replace(b"\n", b","))
    return _require_list(_require_object(document, "lines")["lines"], lines.count(b"\n") + 1)


def _get_parts(record: Any) -> Message:
    """Return the same as `asdict` of what has only plain values, several times as fast."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _get_values(record: Any) -> list[Any]:
    return [getattr(record, name) for name in record.__dataclass_fields__]


def _read_values(record: type[Record], value: object, *more: object) -> Record:
    """Return the record whose columns have these values, each read as that of a store; `more` are as they are."""
    columns = list_columns(record)  # type: ignore[arg-type]  # mypy takes a class for something without a hash
    values = _require_list(value, len(columns))
    return record(*[read(value) for read, value in zip(columns.values(), values, strict=True)], *more)


_DATE = [each.name for each in fields(JobRecord)].index("date")


def _tell_value(value: object) -> object:
    """Return an instant of the history as Autosubmit writes it there, and all else as it is."""
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _tell_text(text: str) -> str:
    return to_text(mask_text(text), _LONGEST_TEXT)


def _tell_moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _understand_moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(_require_text(value, 40))
        if moment.utcoffset() == timedelta():
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ProtocolError("a time must be one of UTC, as ISO 8601 writes it")


def _understand_seconds(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= YEAR_9999:
        raise ProtocolError("an instant must be seconds since 1970")
    return to_moment(value)


def _require_command(value: object) -> str:
    command = _require_text(value, LONGEST_COMMAND)
    if not _COMMAND.fullmatch(command):
        raise ProtocolError(f"{command!a}, which is no command of Autosubmit")
    return command


def _require_object(value: object, *names: str) -> Message:
    """Return an object that has just these."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise ProtocolError(f"an object must have {', '.join(names)} and nothing else")
    return value


def _require_list(value: object, length: int | None = None, *, most: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise ProtocolError(f"a list must have {'its' if length is None else length} parts")
    if most is not None and len(value) > most:
        raise ProtocolError(f"a list must have at most {most} parts")
    return value


def _require_text(value: object, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ProtocolError(f"a text must have at most {most} characters")
    return value


def _require_whole(value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ProtocolError(f"a number must be whole, from {least} to {most}")
    return value
