import json
import os
import pickle
import re
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.autosubmit import job_list
from jobs.autosubmit.job_list import UnreadableJobList, read_dependencies
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.statuses import STATUS_BY_NUMBER, STATUSES
from tests.jobs.autosubmit.conftest import shared_files
from tests.support.job_lists import read_job_list
from tests.support.services import ForkedAutosubmit

ASK_STATUSES = "import json; from autosubmit.job.job_common import Status; print(json.dumps(Status.VALUE_TO_KEY))"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job_list_a000.pkl"


def read(path: Path, data: object) -> list[JobRecord]:
    path.write_bytes(pickle.dumps(data))
    return read_job_list(path).jobs


def job(**attributes: Any) -> dict[str, dict[str, Any]]:
    """Return the dict form of a list of one job."""
    return {"a000_SIM": {"_name": "a000_SIM", "_status": 5} | attributes}


def test_there_are_thirteen_statuses_each_once() -> None:
    assert len(set(STATUSES)) == len(STATUS_BY_NUMBER) == 13


def test_no_job_list_yet_is_a_missing_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_job_list(path)


def test_a_job_of_the_dict_form_is_read(path: Path) -> None:
    (record,) = read(
        path,
        job(
            _section="SIM",
            date=datetime(2000, 1, 1),  # noqa: DTZ001 - as Autosubmit writes it
            _member="fc0",
            _chunk=2,
            _split=-1,
            id="4711",
            _local_logs=("a.out", "a.err"),
        ),
    )
    assert (record.status, record.section, record.member, record.chunk) == ("COMPLETED", "SIM", "fc0", 2)
    assert (record.date, record.split, record.remote_id) == (datetime(2000, 1, 1, tzinfo=UTC), None, 4711)
    assert (record.out_log, record.err_log, record.out_log_remote) == ("a.out", "a.err", "")


def test_logs_that_4_1_17_put_in_the_wrong_places_are_put_right(path: Path) -> None:
    (record,) = read(path, job(_local_logs="a.out", _remote_logs="a.err"))
    assert (record.out_log, record.err_log, record.out_log_remote) == ("a.out", "a.err", "")


def test_a_log_named_before_the_submission_is_none(path: Path) -> None:
    (record,) = read(path, job(_local_logs=("a000_SIM.0.out", "a000_SIM.0.err")))
    assert (record.out_log, record.err_log) == ("", "")


@pytest.mark.parametrize("status", [99, None, "5", [], 10**30])
def test_a_status_that_autosubmit_does_not_have_is_unknown(path: Path, status: object) -> None:
    assert read(path, job(_status=status))[0].status == "UNKNOWN"


def test_hostile_values_become_empty_ones(path: Path) -> None:
    nested: list[object] = []
    for _ in range(100):
        nested = [nested, nested]
    (record,) = read(path, job(_section=nested, _chunk=10**30, priority=float("nan"), _member="a\0\udc80"))
    assert (record.section, record.chunk, record.priority) == ("", None, 0)
    assert record.member == "a�?"


@pytest.mark.parametrize("data", ["text", 5, [1], [("a", 1)], {"a": 1}, {"a": {}}, (), {"a": {"_name": []}}])
def test_another_form_is_unreadable_and_says_so(path: Path, data: object) -> None:
    with pytest.raises(UnreadableJobList, match="unknown form of job list"):
        read(path, data)


def test_a_list_without_jobs_has_none(path: Path) -> None:
    assert read(path, {}) == read(path, []) == []


@pytest.mark.parametrize("data", [b"", b"\x80\x05}", b"SQLite format 3\0", b"SQLite format 3\0" * 100])
def test_a_file_cut_short_is_unreadable(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UnreadableJobList, match=r"job_list_a000\.pkl cannot be read"):
        read_job_list(path)


def test_a_file_that_is_too_large_is_not_loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_list, "MAX_BYTES", 100)
    with pytest.raises(UnreadableJobList, match="bytes, and the portal reads at most 100"):
        read(path, job(_script="x" * 100))


def test_a_folder_in_its_place_is_unreadable(path: Path) -> None:
    path.mkdir()
    with pytest.raises(UnreadableJobList):
        read_job_list(path)


def test_ten_thousand_jobs_are_read_in_half_a_second(path: Path) -> None:
    attributes: dict[str, object] = dict.fromkeys((f"attribute_{number}" for number in range(110)), None)
    jobs = {f"a000_{n}_SIM": attributes | {"_name": f"a000_{n}_SIM", "_status": 0} for n in range(10_000)}
    path.write_bytes(pickle.dumps(jobs))
    begun = time.process_time()
    assert len(read_job_list(path).jobs) == 10_000
    assert time.process_time() - begun < 1  # 0.3 s where it was written


def test_no_structure_has_no_dependencies(path: Path) -> None:
    assert read_dependencies(path) is None


def test_a_broken_structure_is_unreadable(path: Path) -> None:
    path.write_bytes(b"no database" * 200)
    with pytest.raises(UnreadableJobList, match="edges"):
        read_dependencies(path)


def test_a_locked_structure_is_unreadable(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE experiment_structure (e_from, e_to)")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnreadableJobList, match="locked"):
            read_dependencies(path)


# --- What Autosubmit wrote


@pytest.mark.parametrize(
    ("pattern", "counts"),
    [
        ("a3tb/pkl/job_list*", {"COMPLETED": 24, "RUNNING": 1, "QUEUING": 4, "SUSPENDED": 2, "WAITING": 24}),
        ("a003/pkl/job_list*", {"READY": 1, "WAITING": 7}),
        ("a1ve/pkl/job_list*", {"COMPLETED": 8}),
        ("a1vx/pkl/job_list*", {"COMPLETED": 8}),
        ("a001/db/job_list.db", {"COMPLETED": 4}),
    ],
)
def test_the_form_of_every_version_is_read_whole(pattern: str, counts: dict[str, int]) -> None:
    (path,) = shared_files(pattern)
    records = read_job_list(path).jobs
    assert Counter(record.status for record in records) == counts
    assert all(record.section and record.name.startswith(path.parts[-3]) for record in records)


def test_chunks_members_and_dates_agree_with_the_names_of_the_jobs() -> None:
    for path in shared_files("a*/*/job_list*"):
        for record in read_job_list(path).jobs:
            parts = [path.parts[-3], record.date and f"{record.date:%Y%m%d}", record.member, record.chunk]
            assert record.name.startswith("_".join(str(part) for part in parts if part))


def test_every_edge_of_another_version_joins_jobs_of_its_list() -> None:
    for path in shared_files("a*/db/job_list.db"):
        names = {record.name for record in read_job_list(path).jobs}
        assert all(edge[0] in names and edge[1] in names for edge in (read_dependencies(path) or []))


def test_the_numbers_of_the_statuses_are_those_of_the_installed_autosubmit(autosubmit: Path) -> None:
    asked = subprocess.run(
        [str(autosubmit.parent / "python"), "-c", ASK_STATUSES],
        check=True,
        capture_output=True,
        text=True,
        env={"HOME": os.devnull, "PATH": os.defpath},
    )
    assert {int(value): name for value, name in json.loads(asked.stdout).items()} == STATUS_BY_NUMBER


def test_a_real_job_list_agrees_with_monitor(root: Path, failed: str, autosubmit: Path, autosubmit_home: Path) -> None:
    ForkedAutosubmit(autosubmit, autosubmit_home).call("monitor", "-o", "txt", "--hide", failed)
    (listing,) = (root / failed / "status").glob("*.txt")
    told = dict(re.findall(r"(\w+)(?: ~ \[[^]]*])? \[([A-Z]+)]", listing.read_text()))
    records = read_job_list(root / failed / "pkl" / f"job_list_{failed}.pkl").jobs
    assert {record.name: record.status for record in records} == told
    assert told[f"{failed}_BAD"] == "FAILED"


def test_the_edges_of_a_real_experiment_are_those_of_its_configuration(root: Path, failed: str) -> None:
    edges = read_dependencies(root / "metadata" / "structures" / f"structure_{failed}.db") or []
    setup, bad, after, side = (f"{failed}_{name}" for name in ("SETUP", "BAD", "AFTER", "SIDE"))
    assert sorted(edges) == sorted([(setup, bad), (bad, after), (setup, side)])
