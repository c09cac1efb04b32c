"""The route of the wrappers."""

from rest_framework.test import APIClient

from experiments.models import Experiment
from jobs.models import Job
from tests.support import factories


def test_a_viewer_reads_the_wrappers_with_their_jobs(as_viewer: APIClient, experiment: Experiment) -> None:
    for number in (2, 1):
        factories.create_job(experiment, f"a000_{number}_SIM", wrapper="a000_ASThread_1")
    factories.create_job(experiment, "a000_3_SIM", wrapper="a000_ASThread_0")
    assert as_viewer.get("/v4/experiments/a000/wrappers").json() == {
        "wrappers": [
            {"wrapper_name": "a000_ASThread_0", "job_names": ["a000_3_SIM"]},
            {"wrapper_name": "a000_ASThread_1", "job_names": ["a000_1_SIM", "a000_2_SIM"]},
        ]
    }


def test_an_experiment_without_wrappers_has_none(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.get("/v4/experiments/a000/wrappers").json() == {"wrappers": []}


def test_a_job_names_its_last_wrapper(as_viewer: APIClient, job: Job) -> None:
    address = f"/v4/experiments/a000/jobs/{job.name}"
    assert as_viewer.get(address).json()["last_wrapper"] is None
    Job.objects.filter(pk=job.pk).update(wrapper="a000_ASThread_1")
    assert as_viewer.get(address).json()["last_wrapper"] == "a000_ASThread_1"
