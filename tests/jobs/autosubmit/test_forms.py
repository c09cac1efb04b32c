"""Every form of job list that a version of Autosubmit has written, read whole."""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.autosubmit.job_list import UnreadableJobList, read_dependencies
from tests.jobs.autosubmit.conftest import SHARED, shared_files
from tests.support import stores
from tests.support.job_lists import read_job_list

RECORDED = pytest.mark.parametrize("recorded", stores.PICKLES, ids=lambda path: path.stem)


def short(names: Any) -> list[str]:
    return [name.partition("_")[2] for name in names]


@RECORDED
def test_a_recorded_pickle_has_all_jobs_with_their_places(recorded: Path) -> None:
    jobs = {job.name.partition("_")[2]: job for job in read_job_list(recorded).jobs}
    assert sorted(jobs) == sorted(stores.NAMES)
    last = jobs["20000101_fc0_2_SIM"]
    assert (last.section, last.member, last.chunk, f"{last.date:%Y%m%d}") == ("SIM", "fc0", 2, "20000101")
    assert Counter(job.status for job in jobs.values()) == {"READY": 1, "WAITING": 3}


@RECORDED
def test_no_job_that_the_bytes_of_a_pickle_name_is_missing(recorded: Path) -> None:
    named = set(re.findall(rb"a000_(?:SETUP|\d{8}_fc0_(?:INI|\d+_SIM))", recorded.read_bytes()))
    assert {job.name for job in read_job_list(recorded).jobs} == {name.decode() for name in named}


@pytest.mark.parametrize("version", ["4.1.9", "4.1.10", "4.1.11"])
def test_a_graph_has_its_edges_in_itself(version: str) -> None:
    edges = read_job_list(stores.FOLDER / f"{version}.pkl").edges
    assert sorted(tuple(short(edge)) for edge in edges) == stores.EDGES


def test_a_pickle_in_sqlite_is_read_like_one_in_a_file(tmp_path: Path) -> None:
    recorded = stores.FOLDER / "4.1.17.1.pkl"
    path = stores.make_pickle_database(tmp_path / "job_list_a000.db", "a000", recorded.read_bytes())
    assert read_job_list(path) == read_job_list(recorded)


def test_a_database_for_a_pickle_that_has_none_yet_is_no_job_list(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "job_list_a000.db", stores.PICKLE_IN_DATABASE)
    with pytest.raises(FileNotFoundError):
        read_job_list(path)


def test_a_database_without_any_table_of_jobs_is_unreadable(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "job_list.db", stores.STRUCTURE)
    with pytest.raises(UnreadableJobList, match="no table job_pkl"):
        read_job_list(path)


def test_the_rows_of_4_2_are_read_with_their_edges(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "job_list.db", stores.TABLES_4_2 + stores.ROWS_4_2)
    jobs = read_job_list(path).jobs
    assert short(job.name for job in jobs) == stores.NAMES
    assert [job.status for job in jobs] == ["COMPLETED", "COMPLETED", "FAILED", "WAITING"]
    assert (jobs[2].chunk, jobs[2].split, jobs[2].fail_count, jobs[2].remote_id) == (1, None, 2, 16273)
    assert sorted(tuple(short(edge)) for edge in (read_dependencies(path) or [])) == stores.EDGES


def test_a_job_list_of_many_sections_keeps_names_in_other_cases(tmp_path: Path) -> None:
    script = stores.TABLES_4_2 + (
        "INSERT INTO jobs (name, status, section, max_checkpoint_step) VALUES"
        " ('A000_sim', 'RUNNING', 'Sim', 0), ('A000_SIM', 'FAILED', 'SIM', 0);"
    )
    jobs = read_job_list(stores.make_database(tmp_path / "job_list.db", script)).jobs
    assert [(job.name, job.section, job.status) for job in jobs] == [
        ("A000_sim", "Sim", "RUNNING"),
        ("A000_SIM", "SIM", "FAILED"),
    ]


# --- The stores beside the repository, counted in another way


@pytest.mark.parametrize("expid", ["a003", "a1ve", "a1vx", "a3tb"])
def test_a_real_job_list_is_that_which_the_peer_answers(expid: str) -> None:
    (path,) = shared_files(f"{expid}/pkl/job_list*")
    peer = {(job["name"], job["status"], job["section"], job["chunk"]) for job in graph_of_peer(expid)["jobs"]}
    assert {(job.name, job.status, job.section, job.chunk) for job in read_job_list(path).jobs} == peer


@pytest.mark.parametrize("expid", ["a003", "a1vx", "a3tb"])
def test_the_edges_of_a_real_experiment_are_those_that_the_peer_answers(expid: str) -> None:
    (path,) = shared_files(f"{expid}/pkl/job_list*")
    structure = path.parents[2] / "metadata" / "structures" / f"structure_{expid}.db"
    assert set(read_dependencies(structure) or []) == {
        (edge["from"], edge["to"]) for edge in graph_of_peer(expid)["edges"]
    }


def test_the_edges_of_a_real_graph_lead_from_its_first_job_to_all_others() -> None:
    (path,) = shared_files("a1ve/pkl/job_list*")
    found = read_job_list(path)
    names = {job.name for job in found.jobs}
    assert names - {child for _, child in found.edges} == {"a1ve_INI"}
    assert {parent for parent, _ in found.edges} < names
    assert len(found.edges) == 11


def test_a_job_without_edges_is_no_child_of_its_own(tmp_path: Path) -> None:
    script = stores.STRUCTURE + "INSERT INTO experiment_structure VALUES ('a', 'a'), ('a', 'b');"
    assert read_dependencies(stores.make_database(tmp_path / "structure_a000.db", script)) == [("a", "b")]


def graph_of_peer(expid: str) -> dict[str, Any]:
    """Return what Autosubmit API 4.2.0 answered: the jobs of its list, the edges of its graph."""
    folder = SHARED / "peer-4.2.0" / "responses"
    (jobs,) = folder.glob(f"v4_experiments_{expid}_jobs__*.json")
    (graph,) = folder.glob(f"v3_graph_{expid}_standard_none__*.json")
    return {"jobs": json.loads(jobs.read_text())["jobs"], "edges": json.loads(graph.read_text())["edges"]}


@pytest.mark.parametrize("expid", ["a001", "a002", "a003", "a004"])
def test_a_real_database_of_4_2_is_read_with_every_row(expid: str) -> None:
    (path,) = shared_files(f"{expid}/db/job_list.db")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        jobs = connection.execute("SELECT name, status FROM jobs").fetchall()
        edges = connection.execute("SELECT e_from, e_to FROM experiment_structure").fetchall()
    assert [(job.name, job.status) for job in read_job_list(path).jobs] == jobs
    assert read_dependencies(path) == edges


def test_the_tables_of_4_2_are_those_of_a_real_one() -> None:
    (path,) = shared_files("a001/db/job_list.db")
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as real,
        closing(sqlite3.connect(":memory:")) as made,
    ):
        made.executescript(stores.TABLES_4_2)
        for table in ("jobs", "experiment_structure"):
            asked = f"PRAGMA table_info({table})"
            assert [row[1:3] for row in made.execute(asked)] == [row[1:3] for row in real.execute(asked)]
