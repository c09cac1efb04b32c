"""The answers keep every field of Autosubmit API 4.2, so that its clients keep working."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.api.queries import ExperimentsQuery, JobsQuery
from experiments.models import Experiment
from jobs.models import Job
from tests import factories

SIM = "a003_20220401_fc0_1_SIM"
Recorded = Callable[[str], Any]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v4/experiments/a003/jobs", "jobs"),
        ("/v4/experiments/a003/jobs?view=quick", "jobs"),
        ("/v4/experiments/a003/runs", "runs"),
        (f"/v4/experiments/a003/jobs/{SIM}/parents", "parents"),
        (f"/v4/experiments/a003/jobs/{SIM}/children?include_status=true", "children"),
    ],
)
def test_a_list_has_the_recorded_keys(
    as_viewer: APIClient, experiment: Experiment, recorded: Recorded, path: str, key: str
) -> None:
    factories.create_run(experiment)
    peer = recorded(path)
    mine = as_viewer.get(path.replace(SIM, "a000_20000101_fc0_1_SIM").replace("a003", "a000")).json()
    assert mine.keys() == peer.keys()
    assert mine[key][0].keys() >= peer[key][0].keys()


def test_a_job_in_a_list_has_exactly_the_recorded_keys(
    as_viewer: APIClient, experiment: Experiment, recorded: Recorded
) -> None:
    peer = recorded("/v4/experiments/a003/jobs")["jobs"][0]
    assert list(as_viewer.get("/v4/experiments/a000/jobs").json()["jobs"][0]) == list(peer)


@pytest.mark.parametrize("query", ["", "?page_size=3", "?page_size=3&page=2", "?page_size=3&page=9999"])
def test_pages_are_counted_alike(
    as_viewer: APIClient, experiment: Experiment, recorded: Recorded, query: str
) -> None:
    for _ in range(5):
        factories.create_job(experiment)
    peer = recorded(f"/v4/experiments/a003/jobs{query}")["pagination"]
    pages = as_viewer.get(f"/v4/experiments/a000/jobs{query}").json()["pagination"]
    assert peer.items() <= pages.items()


@pytest.mark.parametrize(
    "query", ["job_name=SIM", "job_name=!SIM&view=quick", "job_name=*sim*1", "view=quick"]
)
def test_jobs_are_found_alike(
    as_viewer: APIClient, experiment: Experiment, recorded: Recorded, query: str
) -> None:
    names = [job["name"] for job in recorded("/v4/experiments/a003/jobs")["jobs"]]
    Job.objects.all().delete()
    for name in names:
        factories.create_job(experiment, name)
    wanted = [job["name"] for job in recorded(f"/v4/experiments/a003/jobs?{query}")["jobs"]]
    assert [
        job["name"] for job in as_viewer.get(f"/v4/experiments/a000/jobs?{query}").json()["jobs"]
    ] == wanted


@pytest.mark.parametrize(
    ("path", "ours"),
    [("/v4/experiments/a003", "/v4/experiments/a000"), (f"/v4/experiments/a003/jobs/{SIM}", "")],
)
def test_one_thing_has_the_recorded_keys(
    as_viewer: APIClient, experiment: Experiment, recorded: Recorded, path: str, ours: str
) -> None:
    mine = as_viewer.get(ours or "/v4/experiments/a000/jobs/a000_20000101_fc0_1_SIM").json()
    assert mine.keys() >= recorded(path).keys()


def test_an_error_has_the_recorded_keys(
    as_viewer: APIClient, experiment: Experiment, recorded: Recorded
) -> None:
    peer = recorded("/v4/experiments/a003/jobs/a003_NO_SUCH_JOB")
    assert as_viewer.get("/v4/experiments/a000/jobs/a000_NO").json().keys() >= peer.keys()


def test_an_experiment_in_a_list_has_the_fields_of_the_peer(
    as_viewer: APIClient, experiment: Experiment, peer_schema: dict[str, Any]
) -> None:
    item = as_viewer.get("/v4/experiments").json()["experiments"][0]
    assert item.keys() >= peer_schema["ExperimentSearchItem"]["properties"].keys()


def test_the_parameters_of_the_peer_are_understood() -> None:
    peer = {
        "query",
        "only_active",
        "owner",
        "exp_type",
        "autosubmit_version",
        "hpc",
        "order_by",
        "order_desc",
    }
    assert ExperimentsQuery().fields.keys() >= peer | {"page", "page_size"}
    assert JobsQuery().fields.keys() >= {"view", "job_name", "status", "page", "page_size"}
