"""What an agent that lies, or a damaged answer, can make the portal believe: nothing that no store could say."""

import json
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import pytest

from autosubmit_portal.agent.protocol import ProtocolError
from experiments.autosubmit import forms
from experiments.autosubmit.forms import ExperimentReading, RunState
from experiments.autosubmit.store import ExperimentRecord, Recorded
from jobs.autosubmit.history import JobTimes, RunRecord
from jobs.autosubmit.job_record import LONGEST_NAME, JobRecord
from jobs.autosubmit.pickles.formats import MAX_JOBS
from jobs.autosubmit.statuses import STATUSES
from jobs.autosubmit.values import LARGEST_ID, LONGEST_TEXT
from tests.support import fuzz

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECORD = ExperimentRecord(1, "a000", "text", "ana", "MN5", "4.1.17", "NA", "main", NOON)
STATE = RunState(True, 4711, "process 4711 on host holds the lock", "", True, True, "ana", "autosubmit run a000")
RUN = RunRecord(1, NOON, None, "month", 4, 3, 9, 0, 0, 1, 0, 0)
JOB = JobRecord(
    *("a000_SIM", "RUNNING", "SIM", datetime(2000, 1, 1, tzinfo=UTC), "fc0", 1, None, None, 3, "MN5", 4711),
    *("01:00", "16", "a.out", "a.err", "", "", 2, "pack"),
)
TIMES = JobTimes("a000_SIM", 1, "RUNNING", NOON, NOON, None, "MN5", "debug", "01:00", "a.out", "a.err", "", 16, 4711, 2)
HEAD: dict[str, Any] = {
    "records": [forms.tell_record(RECORD)],
    "absence": "",
    "files": [[1, 2, 3], [0, 0, 0]],
    "alive": forms.tell_run_state(STATE),
    "changed_at": 1_700_000_000.25,
    "commands": ["create", "run"],
    "runs": [forms.tell_run(RUN)],
    "plans": {"plans": {"SIM": {"platform": "MN5"}}, "source": "run 1, file 0"},
    "base": "",
    "revision": "ab" * 16,
    "jobs": 2,
    "removed": ["a000_OLD"],
    "edges": 1,
    "edges_mark": "cd" * 16,
    "has_edges": True,
}
TOLD = forms.tell_job(JOB)
LINES: list[Any] = [
    HEAD,
    [TOLD, forms.tell_times(TIMES)],
    [forms.tell_job(replace(JOB, name="a000_POST", status="WAITING", date=None)), None],
    ["a000_SIM", "a000_POST"],
]
FRESH: dict[str, Any] = {
    **{name: HEAD[name] for name in ("records", "absence", "alive", "files")},
    "owner": [1000, "ana"],
    "are_locks_known": True,
}
NASTY: list[Any] = [
    *(None, True, False, 0, -1, 2**31, 2**70, 10**400, -(2**63), 1.5, -1e308, 1e308, "", "0", "NaN", "x" * 300),
    *(
        "x" * 50_000,
        "a\u0301\U0001f600",
        "\x1b[31m",
        "../../etc",
        "9999-12-31T23:59:59+14:00",
        [],
        {},
        [[[]]],
        [None] * 50,
    ),
    *({"a": "b"}, [1, 2], ["a", "b", "c"], "0001-01-01T00:00:00+00:00", "2026-01-01T00:00:00"),
]


def make_answer(lines: list[Any], *, is_compressed: bool = False) -> tuple[dict[str, Any], bytes]:
    data = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    return {"is_compressed": is_compressed}, zlib.compress(data) if is_compressed else data


def understand(lines: list[Any]) -> ExperimentReading:
    return forms.understand_experiment(*make_answer(lines))


@pytest.mark.parametrize("is_compressed", [True, False])
def test_what_is_told_is_understood(is_compressed: bool) -> None:
    reading = forms.understand_experiment(*make_answer(LINES, is_compressed=is_compressed))
    assert (reading.records, reading.alive, reading.runs) == ([RECORD], STATE, [RUN])
    assert reading.jobs == [JOB, replace(JOB, name="a000_POST", status="WAITING", date=None)]
    assert (reading.attempts, reading.edges) == ({"a000_SIM": TIMES}, [("a000_SIM", "a000_POST")])
    assert (reading.commands, reading.removed) == (["create", "run"], ["a000_OLD"])
    assert reading.changed_at == datetime.fromtimestamp(1_700_000_000.25, UTC)


@pytest.mark.parametrize("at", [NOON, None])
def test_what_a_status_table_says_is_understood(at: datetime | None) -> None:
    recorded = Recorded("RUNNING", at)
    assert forms.understand_recorded(forms.tell_recorded(recorded)) == recorded


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"jobs": 3}, "must have 19 parts"),
        ({"jobs": 4, "edges": None}, "must have 19 parts"),
        ({"jobs": 1}, "a text must have at most 1000 characters"),
        ({"edges": 0}, "more lines than were announced"),
        ({"edges": None}, "more lines than were announced"),
        ({"edges": 2}, "fewer edges than were announced"),
        ({"removed": [5]}, "a text must have"),
        ({"jobs": MAX_JOBS + 1}, "“jobs” must be a whole number"),
        ({"more": 1}, "and nothing else"),
        ({"files": [[0, 0]]}, "a list must have 3 parts"),
        ({"files": [[0, 0, 0]] * 21}, "at most 20 parts"),
        ({"files": [[0, True, 0]]}, "a number must be whole"),
        ({"changed_at": 1e300}, "seconds since 1970"),
        ({"changed_at": True}, "seconds since 1970"),
        ({"commands": ["rm -rf"]}, "no command of Autosubmit"),
        ({"absence": "x" * 1_001}, "at most 1000 characters"),
        ({"alive": {**HEAD["alive"], "pid": 0}}, "“pid”"),
        ({"records": [FRESH["records"][0] | {"expid": "../x"}]}, "the name of an experiment"),
        ({"records": [FRESH["records"][0] | {"created_at": "2026-01-01T00:00:00"}]}, "a time must be one of UTC"),
        ({"records": [FRESH["records"][0] | {"created_at": "2026-13-01T00:00:00+00:00"}]}, "a time must be one of UTC"),
        ({"records": [FRESH["records"][0]] * 21}, "at most 20 parts"),
        ({"plans": {"plans": {"SIM": {"platform": "x" * 200}}, "source": ""}}, "at most 150 characters"),
        ({"plans": {"plans": {"SIM": {"secret": "x"}}, "source": ""}}, "'secret' is unknown"),
        ({"plans": {"plans": {}, "source": "", "limits": {"MN5": {"most": 1}}}}, "'most' is unknown"),
        ({"plans": {"plans": {}, "source": "", "limits": {"MN5": {"total": -1}}}}, "“total”"),
        ({"plans": {"plans": {}, "source": "", "limits": {str(number): {} for number in range(300)}}}, "201 platforms"),
        ({"plans": {"plans": {str(number): {} for number in range(1_001)}, "source": ""}}, "more than 1000 sections"),
        ({"removed": ["x"] * 10_001}, "at most 10000 parts"),
    ],
)
def test_a_head_of_another_form_is_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ProtocolError, match=rule):
        understand([HEAD | change, *LINES[1:]])


@pytest.mark.parametrize(
    "line",
    [
        5,
        [],
        [[], None],
        [LINES[1][0][:-1], None],
        [["", *LINES[1][0][1:]], None],
        [["x" * 251, *LINES[1][0][1:]], None],
    ],
)
def test_a_job_of_another_form_is_refused(line: Any) -> None:
    with pytest.raises(ProtocolError):
        understand([HEAD, line, *LINES[2:]])


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}", b"[]\n", b"{}\n", b"\xff\n", b'{"a": NaN}\n', b"[" * 10_000 + b"\n", b'"\\ud800"\n', b"1]}\n"],
)
def test_what_are_no_lines_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        forms.understand_experiment({"is_compressed": False}, data)
    with pytest.raises(ProtocolError):
        forms.understand_experiment({"is_compressed": True}, zlib.compress(data))


@pytest.mark.parametrize("value", [{}, {"is_compressed": 1}, {"is_compressed": False, "more": 1}])
def test_a_value_of_another_form_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        forms.understand_experiment(value, make_answer(LINES)[1])


@pytest.mark.parametrize("name", ["jobs", "one line", "one list"])
def test_what_expands_to_too_much_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(forms, "MOST_LINES_BYTES", 2 * 2**20)
    monkeypatch.setattr(forms, "MOST_LINE_BYTES", 2**20)
    head, line = (json.dumps(each).encode() + b"\n" for each in (HEAD | {"jobs": 500_000}, LINES[1]))
    bombs = {"jobs": head + line * 100_000, "one line": b" " * 40 * 2**20, "one list": head + b"[" * 40 * 2**20}
    bomb = zlib.compress(bombs[name])
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="too long"):
        forms.understand_experiment({"is_compressed": True}, bomb)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * 2**20


@pytest.mark.parametrize("more", [b"x", b"\0" * 100, zlib.compress(b"x")])
def test_what_follows_what_is_compressed_is_refused(more: bytes) -> None:
    value, data = make_answer(LINES, is_compressed=True)
    with pytest.raises(ProtocolError, match="more than what is compressed"):
        forms.understand_experiment(value, data + more)


@pytest.mark.parametrize("seed", fuzz.SEEDS)
@pytest.mark.parametrize("mutate", [fuzz.cut, fuzz.flipped, fuzz.spliced])
@pytest.mark.parametrize("is_compressed", [True, False])
def test_damaged_answers_are_refused_or_say_what_a_store_could(
    seed: int, mutate: Callable[[Random, bytes, bytes], bytes], is_compressed: bool
) -> None:
    random = Random(seed)
    value, data = make_answer(LINES, is_compressed=is_compressed)
    for _ in range(200):
        try_to_understand(lambda: forms.understand_experiment(value, mutate(random, data, data)))


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_answers_with_other_values_are_refused_or_say_what_a_store_could(seed: int) -> None:
    random = Random(seed)
    for _ in range(2_000):
        lines = [*LINES]
        place = random.randrange(len(lines))
        lines[place] = replace_one(random, lines[place])
        try_to_understand(partial(understand, lines))


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_a_state_with_other_values_is_refused_or_is_one(seed: int) -> None:
    random = Random(seed)
    for _ in range(1_000):
        changed = json.dumps(replace_one(random, FRESH), ensure_ascii=False).encode()
        try:
            fresh = forms.understand_fresh(changed)
        except ProtocolError:
            continue
        assert_is_state(fresh.alive)
        assert len(fresh.records) <= forms.MOST_RECORDS
        assert fresh.owner is None or (isinstance(fresh.owner[0], int) and len(fresh.owner[1]) <= 100)


@pytest.mark.parametrize("value", [{}, {"stopped_at": "1"}, {"stopped_at": -1}, {"stopped_at": 10**400}, {"x": None}])
def test_a_stop_of_another_form_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        forms.understand_stops(value)


def replace_one(random: Random, value: Any) -> Any:
    """Return a copy of a value in which something, anywhere, is something else."""
    if isinstance(value, (list, dict)) and value and random.random() < 0.85:
        key = random.choice([*value]) if isinstance(value, dict) else random.randrange(len(value))
        changed = value.copy()
        changed[key] = replace_one(random, value[key])
        return changed
    return random.choice(NASTY)


def try_to_understand(understand: Callable[[], ExperimentReading]) -> None:
    with suppress(ProtocolError):
        assert_is_possible(understand())


def assert_is_possible(reading: ExperimentReading) -> None:
    """Check that each value has its type and fits into its column."""
    assert_is_state(reading.alive)
    for job in reading.jobs:
        assert 0 < len(job.name) <= LONGEST_NAME
        assert job.status in STATUSES
        assert all(is_plain(getattr(job, each.name)) for each in fields(job))
    records: list[JobTimes | RunRecord] = [*reading.attempts.values(), *reading.runs]
    for record in records:
        assert all(is_plain(getattr(record, each.name)) for each in fields(record))
    for edge in reading.edges or ():
        assert all(is_plain(name) for name in edge)


def assert_is_state(state: RunState) -> None:
    assert state.pid is None or 0 < state.pid < 2**31
    assert len(state.evidence) <= forms.LONGEST_EVIDENCE
    assert len(state.locked_by) <= forms.LONGEST_HOLDER


def is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value.encode()) <= 4 * LONGEST_TEXT and "\0" not in value
    if isinstance(value, datetime):
        return value.tzinfo is UTC
    if isinstance(value, int):
        return abs(value) <= LARGEST_ID
    return value is None


def test_an_agent_of_before_says_neither_owner_nor_command_of_a_run() -> None:
    told = {name: value for name, value in forms.tell_run_state(STATE).items() if name not in ("owner", "command")}
    assert forms.understand_run_state(told) == replace(STATE, owner="", command="")
