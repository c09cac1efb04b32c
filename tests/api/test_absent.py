"""Requests for an experiment that is archived."""

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from jobs.models import Job

ABSENCE = "it is archived in 2026/a000.tar.gz: `autosubmit unarchive a000` brings it back"
RUN = "/v4/experiments/a000?action=run"


@pytest.fixture
def archived(job: Job) -> Experiment:
    Experiment.objects.update(is_absent=True, evidence=ABSENCE)
    return job.experiment


@pytest.mark.parametrize("address", [RUN, f"{RUN}&dry_run=true", RUN.replace("run", "stop")])
def test_an_archived_experiment_is_a_conflict_that_says_where_it_is(
    address: str, as_operator: APIClient, archived: Experiment
) -> None:
    response = as_operator.post(address)
    assert (response.status_code, ABSENCE in response.json()["detail"]) == (409, True)


def test_an_archived_experiment_is_refused_among_many(as_operator: APIClient, archived: Experiment) -> None:
    body = {"kind": "run", "targets": [{"expid": "a000"}]}
    (result,) = as_operator.post("/v4/actions", body, format="json").json()["results"]
    assert (result["status"], ABSENCE in result["problem"]["detail"]) == (409, True)
