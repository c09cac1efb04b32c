"""The route of the time that a section has left."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.support import factories

START = datetime(2026, 11, 24, tzinfo=UTC)


def chunk(experiment: Experiment, number: int, **values: Any) -> None:
    factories.create_job(experiment, chunk=number, section="APP", **values)


def test_a_viewer_reads_how_long_a_section_still_takes(as_viewer: APIClient, experiment: Experiment) -> None:
    chunk(experiment, 1, status="COMPLETED", started_at=START, finished_at=START + timedelta(minutes=5))
    chunk(experiment, 2)
    assert as_viewer.get("/v4/experiments/a000/eta?section=APP").json() == {
        "eta_seconds": 300.0,
        "chunks_total": 2,
        "chunks_remaining": 1,
        "avg_runtime_per_chunk_seconds": 300.0,
    }


def test_the_section_is_sim_unless_another_is_named(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.get("/v4/experiments/a000/eta").json()["chunks_total"] == 1


@pytest.mark.parametrize(("section", "reason"), [("NOPE", "has no jobs"), ("POST", "have no chunks")])
def test_a_section_without_chunks_is_refused(
    as_viewer: APIClient, experiment: Experiment, section: str, reason: str
) -> None:
    answer = as_viewer.get(f"/v4/experiments/a000/eta?section={section}")
    assert answer.status_code == 400
    assert reason in answer.json()["error_message"]
