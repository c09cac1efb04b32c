"""The route of how an experiment performs, on a store with a history and a configuration."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from tests.support import factories, stores
from tests.support.configured import make_store

pytestmark = pytest.mark.one_database

ADDRESS = "/v4/experiments/a000/performance"
HISTORY = """
CREATE TABLE experiment_run (run_id INTEGER PRIMARY KEY);
CREATE TABLE job_data (id INTEGER PRIMARY KEY, run_id INTEGER, job_name TEXT, submit INTEGER, start INTEGER,
    finish INTEGER, status TEXT, ncpus INTEGER, energy INTEGER);
INSERT INTO job_data (run_id, job_name, submit, start, finish, status, ncpus, energy) VALUES
    (1, 'a000_1_SIM', 1000, 1000, 44200, 'FAILED', 4, 0),
    (1, 'a000_1_SIM', 50000, 53600, 96800, 'COMPLETED', 4, 7200);
"""
CONFIGURATION: dict[str, Any] = {
    "DEFAULT": {"EXPID": "a000", "HPCARCH": "MN5"},
    "EXPERIMENT": {"CHUNKSIZEUNIT": "month", "CHUNKSIZE": 6},
    "JOBS": {"SIM": {"PROCESSORS": 4, "PLATFORM": "MN5"}},
}


@pytest.fixture
def site(db: None, tmp_path: Path) -> Site:
    """A site with a store."""
    make_store(tmp_path, runs={1: CONFIGURATION})
    return factories.create_site(slug="local", is_default=True, home=str(tmp_path))


@pytest.fixture
def history(experiment: Experiment, tmp_path: Path) -> Path:
    """The history of the experiment, whose one simulation failed once and then took half a day for half a year."""
    factories.create_run(experiment, run_id=1, chunk_unit="month", chunk_size=6)
    factories.create_job(experiment, name="a000_1_SIM", section="SIM", status="COMPLETED", chunk=1)
    (path,) = tmp_path.rglob("job_data_a000.db")
    path.unlink()
    return stores.make_database(path, HISTORY)


def test_a_viewer_reads_the_metrics_and_what_each_section_took(as_viewer: APIClient, history: Path) -> None:
    answer = as_viewer.get(ADDRESS).json()
    assert answer["metrics"]["sypd"] == 1.0
    assert (answer["metrics"]["considered"], answer["metrics"]["left_out"], answer["metrics"]["rsypd"]) == (1, 0, None)
    (section,) = [section for section in answer["sections"] if section["name"] == "SIM"]
    assert section["failed_attempts"] == section["retrials"] == 1
    assert (section["queue_seconds"], section["run_seconds"], section["core_hours"]) == (3600, 43200, 96.0)
    assert section["failed_core_hours"] == 48.0
    assert section["energy"] == 7200


def test_a_history_that_cannot_be_read_is_a_problem_that_says_why(as_viewer: APIClient, history: Path) -> None:
    history.write_bytes(b"no database" * 200)
    answer = as_viewer.get(ADDRESS)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:autosubmit-portal:store-unreadable")
    assert "job_data_a000.db cannot be read" in answer.json()["detail"]
