"""What a watcher sees of the experiments of a store: how an agent tells it, and how the portal understands that."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError, strict_json
from autosubmit_portal.agent.protocol.fields import refuse_others, take_expid, take_flag, take_number, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from experiments.autosubmit.forms import (
    Owner,
    RunState,
    tell_line,
    tell_record,
    tell_recorded,
    tell_run_state,
    understand_fingerprint,
    understand_owner,
    understand_recorded,
    understand_records,
    understand_run_state,
)
from experiments.autosubmit.life import NO_LIFE, Life, tell_life, understand_life
from experiments.autosubmit.store import ExperimentRecord, Fingerprint, Recorded

MOST_ENTRIES = 500
"""In one answer."""

LONGEST_EPOCH = 100
LONGEST_NODE = 255
LONGEST_VERSION = 50
LONGEST_PROBLEM = 1_000
_LONGEST_AGE = 10 * 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What is seen of an experiment. `records` are those of its name in the store: none if it is gone."""

    records: tuple[ExperimentRecord, ...]
    recorded: Recorded
    owner: Owner | None
    alive: RunState
    files: Fingerprint
    life: Life = NO_LIFE


@dataclass(frozen=True, slots=True)
class Watched:
    """An answer to the request `watch`.

    `entries` are those of the experiments that have changed since the number that was asked with; the next question
    has `epoch` and `counter`, and comes at once if there is `more`. When it `is_complete` all experiments were looked
    at since the epoch began: one that was never told of is not in the store. The last time that all were looked at
    began `complete_age` seconds ago. `node` is what the host calls itself. `version` and `problem` are those of the
    Autosubmit program, blank while unknown and without one.
    """

    epoch: str
    counter: int
    more: bool
    is_complete: bool
    complete_age: float | None
    are_locks_known: bool
    node: str
    version: str
    problem: str
    entries: dict[str, Entry]


def tell_entry(expid: str, entry: Entry) -> bytes:
    """Return a line of JSON."""
    return tell_line(
        {
            "expid": expid,
            "records": [*map(tell_record, entry.records)],
            "recorded": tell_recorded(entry.recorded),
            "owner": entry.owner,
            "alive": tell_run_state(entry.alive),
            "files": entry.files,
            "life": tell_life(entry.life),
        }
    )


def understand_watched(value: Message, data: bytes) -> Watched:
    """Understand an answer. Raises ProtocolError."""
    _require_parts(value, Watched.__dataclass_fields__.keys() - {"entries"})
    return Watched(
        epoch=take_text(value, "epoch", most=LONGEST_EPOCH),
        counter=take_number(value, "counter"),
        more=take_flag(value, "more"),
        is_complete=take_flag(value, "is_complete"),
        complete_age=_understand_age(value["complete_age"]),
        are_locks_known=take_flag(value, "are_locks_known"),
        node=take_text(value, "node", most=LONGEST_NODE),
        version=take_text(value, "version", most=LONGEST_VERSION),
        problem=take_text(value, "problem", most=LONGEST_PROBLEM),
        entries=dict(_understand_entries(data)),
    )


def _understand_entries(data: bytes) -> Iterator[tuple[str, Entry]]:
    lines = data.splitlines()
    if len(lines) > MOST_ENTRIES:
        raise ProtocolError(f"more than {MOST_ENTRIES} entries")
    for line in lines:
        told = strict_json.decode_document(line)
        _require_parts(told, {"expid", *Entry.__dataclass_fields__}, optional={"life"})
        expid, records = take_expid(told, "expid"), tuple(understand_records(told["records"]))
        if any(record.expid != expid for record in records):
            raise ProtocolError("a record of another experiment")
        yield (
            expid,
            Entry(
                records,
                understand_recorded(told["recorded"]),
                understand_owner(told["owner"]),
                understand_run_state(told["alive"]),
                understand_fingerprint(told["files"]),
                understand_life(told.get("life")),
            ),
        )


def _require_parts(message: Message, names: Set[str], optional: Set[str] = frozenset()) -> None:
    refuse_others(message, *names)
    if missing := names - optional - message.keys():
        raise ProtocolError(f"{min(missing)!a} is missing")


def _understand_age(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST_AGE:
        raise ProtocolError("an age must be seconds")
    return float(value)
