"""What an agent that lies, or a damaged answer, can make the portal believe of what a watcher sees."""

import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from autosubmit_portal.agent.protocol import ProtocolError
from experiments.autosubmit.store import NO_OWNER, Recorded
from experiments.autosubmit.watched import MOST_ENTRIES, Entry, Watched, tell_entry, understand_watched
from tests.experiments.autosubmit.test_forms import NASTY, NOON, RECORD, STATE
from tests.support import fuzz

ENTRY = Entry((RECORD,), Recorded("RUNNING", NOON), (1000, "ana"), STATE, ((1, 2, 3), (0, 0, 0)))
GONE = Entry((), Recorded("", None), None, STATE, ())
OF_A_LINK = Entry((RECORD,), Recorded("", None), (NO_OWNER, ""), STATE, ())
VALUE: dict[str, Any] = {
    "epoch": "ab" * 16,
    "counter": 7,
    "more": True,
    "is_complete": False,
    "complete_age": 1.5,
    "are_locks_known": True,
    "node": "host",
    "version": "4.1.17",
    "problem": "",
}
LINE: dict[str, Any] = json.loads(tell_entry("a000", ENTRY))


def understand(value: dict[str, Any], *lines: dict[str, Any]) -> Watched:
    return understand_watched(value, b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@pytest.mark.parametrize("entry", [ENTRY, GONE, OF_A_LINK])
def test_what_is_told_is_understood(entry: Entry) -> None:
    assert understand_watched(VALUE, tell_entry("a000", entry)) == Watched(**VALUE, entries={"a000": entry})


@pytest.mark.parametrize("age", [None, 0, 0.0, 1e8])
def test_the_age_of_a_round_is_understood(age: float | None) -> None:
    assert understand(VALUE | {"complete_age": age}).complete_age == age


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": None},
        {"epoch": "x" * 101},
        {"counter": -1},
        {"counter": 1.0},
        {"more": 1},
        {"is_complete": None},
        {"complete_age": -1},
        {"complete_age": 1e10},
        {"complete_age": "1"},
        {"complete_age": True},
        {"are_locks_known": 0},
        {"node": "x" * 256},
        {"version": "x" * 51},
        {"problem": "x" * 1_001},
        {"entries": []},
        {"other": 1},
    ],
)
def test_a_value_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        understand(VALUE | change, LINE)


@pytest.mark.parametrize("name", VALUE)
def test_a_value_without_one_of_its_parts_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError, match=f"'{name}' is missing"):
        understand({key: VALUE[key] for key in VALUE if key != name})


@pytest.mark.parametrize(
    "change",
    [
        {"expid": "../x"},
        {"expid": "b000"},
        {"records": None},
        {"records": [{}]},
        {"records": LINE["records"] * 21},
        {"recorded": ["RUNNING"]},
        {"recorded": ["x" * 21, None]},
        {"owner": ["ana", 1000]},
        {"owner": [-2, "ana"]},
        {"alive": None},
        {"alive": {**LINE["alive"], "pid": -1}},
        {"files": None},
        {"files": [[1, 2]]},
        {"other": 1},
    ],
)
def test_an_entry_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        understand(VALUE, LINE | change)


@pytest.mark.parametrize("name", sorted(LINE.keys() - {"life"}))
def test_an_entry_without_one_of_its_parts_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError, match=f"'{name}' is missing"):
        understand(VALUE, {key: LINE[key] for key in LINE if key != name})


def test_an_agent_from_before_signs_of_life_were_told_is_understood() -> None:
    old = {key: LINE[key] for key in LINE if key != "life"}
    assert understand(VALUE, old).entries == {"a000": ENTRY}


def test_more_entries_than_an_answer_may_have_are_refused() -> None:
    with pytest.raises(ProtocolError, match="more than 500 entries"):
        understand_watched(VALUE, tell_entry("a000", GONE) * (MOST_ENTRIES + 1))


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_damaged_answers_are_refused_or_understood(seed: int) -> None:
    random, whole = Random(seed), tell_entry("a000", ENTRY) + tell_entry("a001", GONE)
    for _ in range(500):
        data = random.choice((fuzz.cut, fuzz.flipped, fuzz.spliced))(random, whole, whole)
        with suppress(ProtocolError):
            understand_watched(VALUE, data)


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_changed_answers_are_refused_or_understood(seed: int) -> None:
    random = Random(seed)
    for _ in range(500):
        value, line = VALUE | {random.choice([*VALUE]): random.choice(NASTY)}, dict(LINE)
        line[random.choice([*line])] = random.choice(NASTY)
        with suppress(ProtocolError):
            understand(random.choice((value, VALUE)), line)
