"""The routes of the metrics that jobs report, on a store with such a file."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from tests.support import stores

pytestmark = pytest.mark.one_database

RUNS = "/v4/experiments/a000/user-metrics-runs"
METRICS = "/v4/experiments/a000/runs/{}/user-metrics"
ROWS = """
INSERT INTO user_metrics (run_id, job_name, metric_name, metric_value, modified) VALUES
    (1, 'a000_SIM', 'sypd', '12.5', '2026-11-24T09:30:12+00:00'),
    (2, 'a000_SIM', 'sypd', '13', '2026-11-25T09:30:12+00:00'),
    (2, 'a000_POST', 'label', 'ümlaut', '2026-11-25T09:40:12+00:00');
"""


@pytest.fixture
def metrics(site: Site, experiment: Experiment, tmp_path: Path) -> Path:
    """The file of the metrics of the experiment, in a store of its own."""
    root = tmp_path / "autosubmit"
    stores.configure(tmp_path, root)
    stores.make_database(root / "autosubmit.db", "CREATE TABLE experiment (id INTEGER);")
    Site.objects.filter(pk=site.pk).update(home=str(tmp_path))
    return stores.make_database(root / "a000" / "tmp" / "metrics_a000.db", stores.USER_METRICS + ROWS)


def test_a_viewer_reads_which_runs_have_metrics_newest_first(as_viewer: APIClient, metrics: Path) -> None:
    assert as_viewer.get(RUNS).json() == {"runs": [{"run_id": 2}, {"run_id": 1}]}


def test_a_viewer_reads_the_metrics_of_a_run(as_viewer: APIClient, metrics: Path) -> None:
    answer = as_viewer.get(METRICS.format(2)).json()
    assert answer["run_id"] == 2
    assert [metric["metric_value"] for metric in answer["metrics"]] == ["13", "ümlaut"]
    assert answer["metrics"][0] == {
        "job_name": "a000_SIM",
        "metric_name": "sypd",
        "metric_value": "13",
        "modified": "2026-11-25T09:30:12+00:00",
    }


@pytest.mark.parametrize("run_id", [3, 10**30])
def test_a_run_without_metrics_has_none(as_viewer: APIClient, metrics: Path, run_id: int) -> None:
    assert as_viewer.get(METRICS.format(run_id)).json() == {"run_id": run_id, "metrics": []}


def test_an_experiment_without_metrics_has_none(as_viewer: APIClient, metrics: Path) -> None:
    metrics.unlink()
    assert as_viewer.get(RUNS).json() == {"runs": []}
    assert as_viewer.get(METRICS.format(1)).json() == {"run_id": 1, "metrics": []}


@pytest.mark.parametrize("path", [RUNS, METRICS.format(1)])
def test_a_broken_file_of_metrics_is_told(as_viewer: APIClient, metrics: Path, path: str) -> None:
    metrics.write_bytes(b"no database" * 200)
    answer = as_viewer.get(path)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:autosubmit-portal:store-unreadable")
    assert "metrics_a000.db cannot be read" in answer.json()["error_message"]


def test_a_store_that_is_not_there_is_told(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get(RUNS)
    assert answer.status_code == 503
    assert "There is no Autosubmit configuration" in answer.json()["detail"]


def _write(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def _settle(file: Path) -> None:
    """Let the file be one that was written long ago, as most are when somebody asks."""
    os.utime(file, ns=(0, file.stat().st_mtime_ns - 3_600_000_000_000))


def test_metrics_of_a_file_that_is_the_same_are_read_once(as_viewer: APIClient, metrics: Path) -> None:
    _settle(metrics)
    first = as_viewer.get(RUNS)
    assert as_viewer.get(RUNS, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304
    keep = metrics.stat()
    metrics.write_bytes(bytes(keep.st_size))  # nobody looks into it
    os.utime(metrics, ns=(0, keep.st_mtime_ns))
    assert as_viewer.get(RUNS).content == first.content


def test_a_read_asks_the_database_for_the_token_the_experiment_and_its_host_only(
    as_viewer: APIClient, metrics: Path, settings: Any
) -> None:
    _settle(metrics)
    settings.GATEWAY_DIRECTORY = metrics.parent  # not our own, of which the files of sites are written
    as_viewer.get(RUNS)
    with CaptureQueriesContext(connection) as captured:
        assert as_viewer.get(RUNS).status_code == 200
    assert len(captured) == 3


def test_metrics_of_a_file_that_has_changed_are_read_anew(as_viewer: APIClient, metrics: Path) -> None:
    _settle(metrics)
    first = as_viewer.get(RUNS)
    _write(metrics, "DELETE FROM user_metrics WHERE run_id = 2")
    second = as_viewer.get(RUNS, HTTP_IF_NONE_MATCH=first["ETag"])
    assert second.json() == {"runs": [{"run_id": 1}]}


def test_metrics_that_are_being_written_are_read_each_time(as_viewer: APIClient, metrics: Path) -> None:
    first = as_viewer.get(RUNS)
    moment = metrics.stat().st_mtime_ns
    _write(metrics, "UPDATE user_metrics SET run_id = 3 WHERE run_id = 2")
    os.utime(metrics, ns=(0, moment))  # within the same tick of the clock of the file system
    assert first.json() != as_viewer.get(RUNS).json()
