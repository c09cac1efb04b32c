import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.autosubmit.history import JobTimes, UnreadableHistory, read_job_attempts, read_past_attempts, read_runs
from tests.jobs.autosubmit.conftest import shared_files
from tests.support.job_lists import read_newest_attempts

OLDEST = """
CREATE TABLE experiment_run (run_id INTEGER PRIMARY KEY, start INTEGER, finish INTEGER, total INTEGER);
CREATE TABLE job_data (id INTEGER PRIMARY KEY, counter INTEGER, job_name TEXT, submit INTEGER, start INTEGER,
    finish INTEGER, status TEXT, job_id INTEGER);
INSERT INTO experiment_run VALUES (1, 100, 200, 4), (2, 300, 0, 4), (3, NULL, -1, 'many');
INSERT INTO job_data VALUES (1, 1, 'a000_SIM', 100, 110, 120, 'FAILED', 7), (2, 2, 'a000_SIM', 200, 0, 0, 'RUNNING', 8);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "job_data_a000.db"
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript(OLDEST)
    return made


def test_no_history_has_no_runs_and_no_times(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "none.db") == []
    assert read_newest_attempts(tmp_path / "none.db") == {}


def test_zero_and_nothing_are_no_time(path: Path) -> None:
    times = [(run.started_at, run.finished_at) for run in read_runs(path)]
    assert times[0] == (datetime.fromtimestamp(100, UTC), datetime.fromtimestamp(200, UTC))
    assert times[1:] == [(datetime.fromtimestamp(300, UTC), None), (None, None)]


def test_columns_that_a_version_lacks_are_empty(path: Path) -> None:
    run = read_runs(path)[-1]
    assert (run.run_id, run.total, run.suspended, run.chunk_unit) == (3, 0, 0, "")


def test_the_newest_attempt_of_a_job_counts(path: Path) -> None:
    times = read_newest_attempts(path)["a000_SIM"]
    assert (times.status, times.remote_id, times.started_at) == ("RUNNING", 8, None)
    assert times.submitted_at == datetime.fromtimestamp(200, UTC)


def test_all_attempts_are_read_the_oldest_first_and_of_too_many_the_newest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_past_attempts(path)
    assert [(one.status, one.queue_seconds, one.run_seconds, one.ncpus) for one in found] == [
        ("FAILED", 10, 10, 0),
        ("RUNNING", 0, 0, 0),
    ]
    monkeypatch.setattr("jobs.autosubmit.history.MOST_PAST_ATTEMPTS", 1)
    assert [one.status for one in read_past_attempts(path)] == ["RUNNING"]


def test_all_attempts_at_a_job_are_read_the_oldest_first(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("INSERT INTO job_data VALUES (3, 3, 'a000_POST', 1, 2, 3, 'FAILED', 9)")
    found = read_job_attempts(path, "a000_SIM")
    assert [(one.status, one.submit, one.finish, one.remote_id, one.out_log) for one in found] == [
        ("FAILED", 100, 120, 7, ""),
        ("RUNNING", 200, 0, 8, ""),
    ]
    assert read_job_attempts(path, "a000_SIM' OR '1'='1") == []


@pytest.mark.parametrize("read", [read_runs, read_newest_attempts, read_past_attempts])
def test_a_broken_history_says_so(path: Path, read: object) -> None:
    path.write_bytes(b"no database" * 200)
    with pytest.raises(UnreadableHistory, match=r"job_data_a000\.db cannot be read"):
        read(path)  # type: ignore[operator]


def test_a_database_without_the_tables_says_so(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE job_data")
    with pytest.raises(UnreadableHistory, match="no table job_data"):
        read_newest_attempts(path)


def test_reading_leaves_no_file_behind(path: Path) -> None:
    read_runs(path)
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_may_not_be_written_is_read(path: Path) -> None:
    strange = path.parent / "a 100% #?"
    strange.mkdir()
    shutil.copy(path, strange / "history.db")
    strange.chmod(0o500)
    assert len(read_runs(strange / "history.db")) == 3


def test_histories_of_other_versions_are_read() -> None:
    for path in shared_files("metadata/data/job_data_*.db"):
        runs = read_runs(path)
        assert runs == sorted(runs, key=lambda run: run.run_id)
        assert runs[-1].started_at
        expid = path.stem.removeprefix("job_data_")
        assert all(name.startswith(f"{expid}_") for name in read_newest_attempts(path))


def test_a_real_history_tells_the_run_and_its_jobs(root: Path, failed: str) -> None:
    path = root / "metadata" / "data" / f"job_data_{failed}.db"
    times = read_newest_attempts(path)
    bad = times[f"{failed}_BAD"]
    assert (bad.status, bad.platform, bad.wallclock) == ("FAILED", "LOCAL", "00:05")
    assert _is_ordered(bad)
    assert read_runs(path)[-1].total == 4


def _is_ordered(times: JobTimes) -> bool:
    assert times.submitted_at is not None
    assert times.started_at is not None
    assert times.finished_at is not None
    return times.submitted_at <= times.started_at <= times.finished_at
