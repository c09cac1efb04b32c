"""Why a job failed, asked of the API."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from experiments.models import Experiment, Site
from jobs.models import Job
from tests.support import factories
from tests.support.stores.written import write_store

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database
ADDRESS = "/v4/experiments/a000/jobs/a000_SIM/failure"


@pytest.fixture
def logs(experiment: Experiment, tmp_path: Path) -> Path:
    """The folder of the logs of an experiment with a failed job, in a store where nothing else is."""
    folder = write_store(tmp_path, "a000") / "tmp" / "LOG_a000"
    Site.objects.update(home=str(tmp_path))
    factories.create_job(experiment, "a000_SIM", status="FAILED", out_log="sim.out", err_log="sim.err")
    return folder


def test_what_the_logs_of_a_failed_job_tell_is_answered_errors_first(as_viewer: Client, logs: Path) -> None:
    (logs / "sim.out").write_bytes(b"x: Permission denied\ny: Permission denied\n")
    (logs / "sim.err").write_bytes(b"z: Permission denied\nMemoryError\n")
    reasons = as_viewer.get(ADDRESS).json()["reasons"]
    assert [(reason["name"], reason["line"], reason["log"]) for reason in reasons] == [
        ("out-of-memory", "MemoryError", "sim.err"),
        ("permission", "z: Permission denied", "sim.err"),
    ]
    assert "Ask for more memory" in reasons[0]["advice"]


def test_reasons_of_an_institution_are_told(as_viewer: Client, logs: Path, tmp_path: Path, settings: Any) -> None:
    settings.FAILURE_REASONS = tmp_path / "reasons.yml"
    settings.FAILURE_REASONS.write_text("x: {title: X, texts: [odd], meaning: M., advice: A., sites: [local]}\n")
    (logs / "sim.err").write_bytes(b"odd\n")
    assert [reason["title"] for reason in as_viewer.get(ADDRESS).json()["reasons"]] == ["X"]


def test_what_the_shell_echoes_of_the_script_is_no_reason(as_viewer: Client, logs: Path) -> None:
    script = "if test x; then\n  fail Out of memory\nfi\n"
    (logs.parent / "a000_SIM.cmd").write_text(script)
    (logs / "sim.err").write_text(f"{script}+ test x\nx: Permission denied\n+ exit 1\n")
    assert [reason["name"] for reason in as_viewer.get(ADDRESS).json()["reasons"]] == ["permission"]


def test_a_job_that_has_not_failed_has_no_reason(as_viewer: Client, logs: Path) -> None:
    (logs / "sim.err").write_bytes(b"MemoryError\n")
    Job.objects.update(status="COMPLETED")
    assert as_viewer.get(ADDRESS).json() == {"reasons": [], "exit_code": None}


def test_the_exit_code_is_answered_where_the_log_ends_with_it(as_viewer: Client, logs: Path) -> None:
    (logs / "sim.out").write_bytes(b"+ exit 7\n")
    (logs / "sim.err").write_bytes(b"+ false\n")
    assert as_viewer.get(ADDRESS).json()["exit_code"] == 7
    (logs / "sim.err").write_bytes(b"+ exit 1\n")
    assert as_viewer.get(ADDRESS).json()["exit_code"] == 1


def test_a_job_whose_logs_are_gone_has_no_reason(as_viewer: Client, logs: Path) -> None:
    assert as_viewer.get(ADDRESS).json() == {"reasons": [], "exit_code": None}
