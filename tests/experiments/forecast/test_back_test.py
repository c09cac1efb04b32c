"""The tool that replays recorded histories."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.tools.back_test import Row, learn_from, make_facts, measure_idle, replay_store, tell

MINUTE, BEGAN = 60, 1_700_000_000
COLUMNS = ("job_name", "section", "platform", "status", "submit", "start", "finish", "wallclock", "children", "run_id")


def row(number: int, **values: Any) -> Row:
    """Return the row of a job that took ten minutes, after a minute in the queue, and waits for the one before."""
    submit = BEGAN + number * 11 * MINUTE
    times = {"submit": submit, "start": submit + MINUTE, "finish": submit + 11 * MINUTE}
    name = {"job_name": f"a000_20000101_fc0_{number}_SIM", "children": f"a000_20000101_fc0_{number + 1}_SIM"}
    others = {"section": "SIM", "platform": "MN5", "status": "COMPLETED", "wallclock": "01:00", "run_id": 1, "ncpus": 4}
    return {**name, **times, **others, **values}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with the history of one run of eight jobs in a row."""
    folder = tmp_path / "metadata" / "data"
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "job_data_a000.db")) as connection:
        columns = ", ".join(row(0))
        connection.execute(f"CREATE TABLE job_data (id INTEGER PRIMARY KEY, {columns})")
        connection.execute("CREATE TABLE experiment_run (run_id, metadata)")
        connection.execute("INSERT INTO experiment_run VALUES (1, ?)", [json.dumps({"CONFIG": {"TOTALJOBS": 2}})])
        for number in range(8):
            places = ", ".join("?" * len(row(0)))
            connection.execute(f"INSERT INTO job_data ({columns}) VALUES ({places})", [*row(number).values()])
        connection.commit()
    return tmp_path


def test_a_run_whose_jobs_take_the_same_time_is_foretold(store: Path) -> None:
    looks = [*replay_store(store)]
    assert [(look.share, look.jobs) for look in looks] == [(0.25, 8), (0.5, 8), (0.75, 8)]
    assert all(look.error is not None and abs(look.error) < 0.01 and look.is_within for look in looks)


def test_the_errors_are_told_as_a_table(store: Path) -> None:
    lines = [*tell([*replay_store(store)])]
    assert lines[2].startswith("| a000, run 1 | 8 | 1.47 h | 0% |")
    assert "All, at 25%: middle error 0%, 1 of 1 ends within the range." in lines


def test_nothing_of_what_happened_later_is_known() -> None:
    rows = [row(0), row(1), row(2)]
    jobs = make_facts(rows, BEGAN + 15 * MINUTE, {}, {}).jobs
    assert [job.status for job in jobs] == ["COMPLETED", "RUNNING", "WAITING"]
    assert [job.finished_at for job in jobs] == [BEGAN + 11 * MINUTE, None, None]


def test_a_failed_attempt_counts_as_a_failure_of_the_next() -> None:
    rows = [row(0, status="FAILED"), row(1, job_name=row(0)["job_name"])]
    (job,) = make_facts(rows, BEGAN + 30 * MINUTE, {}, {}).jobs
    assert (job.status, job.failures) == ("COMPLETED", 1)


def test_the_time_without_a_job_is_measured() -> None:
    assert measure_idle([row(0), row(3)]) == 22 * MINUTE


def test_a_run_teaches_the_next_one() -> None:
    assert learn_from([row(0), row(1, status="FAILED")]) == {"SIM": [10 * MINUTE]}
