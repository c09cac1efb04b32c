"""Which attempt the history is about. The histories hold the columns that each version of Autosubmit writes."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.autosubmit.attempts import choose_attempt
from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.statuses import ACTIVE, RESET
from tests.support.job_lists import read_newest_attempts

ENDED = {"job_id": 7, "run_id": 1, "submit": 100, "start": 110, "finish": 120, "status": "FAILED"}
KILLED = {**ENDED, "start": 0, "finish": 0}
SECOND = {"job_id": 8, "run_id": 1, "submit": 200, "start": 210, "finish": 220, "status": "COMPLETED"}


def record(status: str, **values: Any) -> JobRecord:
    blank: dict[str, Any] = dict.fromkeys(JobRecord.__dataclass_fields__, "")
    numbers = dict.fromkeys(("date", "chunk", "split", "splits", "remote_id"))
    made = JobRecord(**blank | numbers | {"name": "a000_SIM", "status": status, "priority": 0, "fail_count": 0})
    return replace(made, **values)


def newest(folder: Path, *attempts: dict[str, object]) -> JobTimes:
    """Write a history with the columns that the attempts have, and return the newest as it is read from it."""
    path = folder / "job_data_a000.db"
    columns = ["job_name", *attempts[0]]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE job_data (id INTEGER PRIMARY KEY, {', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        rows = [["a000_SIM", *attempt.values()] for attempt in attempts]
        connection.executemany(f"INSERT INTO job_data ({', '.join(columns)}) VALUES ({marks})", rows)
        connection.commit()
    return read_newest_attempts(path)["a000_SIM"]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("status", sorted(ACTIVE))
@pytest.mark.parametrize("number", [None, 8])
def test_an_active_job_has_nothing_of_an_attempt_that_has_ended(
    tmp_path: Path, status: str, number: int | None
) -> None:
    assert choose_attempt(record(status, remote_id=number), newest(tmp_path, ENDED)) is None


@pytest.mark.parametrize("status", sorted(RESET))
def test_a_job_that_was_reset_has_no_attempt(tmp_path: Path, status: str) -> None:
    assert choose_attempt(record(status, remote_id=7), newest(tmp_path, ENDED)) is None


def test_an_active_job_has_nothing_of_an_attempt_that_was_killed(tmp_path: Path) -> None:
    assert choose_attempt(record("RUNNING", remote_id=8), newest(tmp_path, KILLED)) is None


def test_a_retrial_has_nothing_of_the_attempt_that_failed_before_it(tmp_path: Path) -> None:
    before = newest(tmp_path, {**KILLED, "fail_count": 0})
    assert choose_attempt(record("RUNNING", fail_count=1), before) is None


def test_an_active_job_has_the_times_of_its_own_row_but_no_end(tmp_path: Path) -> None:
    found = choose_attempt(record("RUNNING", remote_id=8), newest(tmp_path, ENDED, SECOND))
    assert found is not None
    assert (found.submitted_at, found.started_at, found.finished_at) == (at(200), at(210), None)


def test_a_queuing_job_has_not_started(tmp_path: Path) -> None:
    found = choose_attempt(record("QUEUING", remote_id=8), newest(tmp_path, ENDED, SECOND))
    assert found is not None
    assert (found.submitted_at, found.started_at) == (at(200), None)


def test_the_number_of_an_active_job_is_the_lists_where_the_history_has_none(tmp_path: Path) -> None:
    found = choose_attempt(record("RUNNING", remote_id=8), newest(tmp_path, {**KILLED, "job_id": 0}))
    assert found is not None
    assert found.remote_id == 8


@pytest.mark.parametrize("run", [1, 2])
def test_a_job_that_has_ended_has_its_newest_attempt_of_whatever_run(tmp_path: Path, run: int) -> None:
    found = choose_attempt(record("COMPLETED", remote_id=7), newest(tmp_path, ENDED, {**SECOND, "run_id": run}))
    assert found is not None
    assert (found.remote_id, found.submitted_at, found.finished_at) == (8, at(200), at(220))


def test_a_job_of_which_the_history_says_nothing_has_no_attempt() -> None:
    assert choose_attempt(record("COMPLETED", remote_id=7), None) is None
