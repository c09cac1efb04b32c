"""What is answered of experiments whose job list cannot be read."""

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.support import factories

READ_AT, SINCE = datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC)
PROBLEM = "The job list cannot be read: truncated: it is empty."
ROUTES = ("jobs", "jobs/a000_POST", "jobs/a000_POST/parents", "wrappers", "runs", "eta?section=SIM")


def break_it(experiment: Experiment, read_at: datetime | None) -> None:
    rows = Experiment.objects.filter(pk=experiment.pk)
    rows.update(problem=PROBLEM, problem_since=SINCE, refreshed_at=read_at)


@pytest.mark.parametrize("route", ROUTES)
def test_rows_that_were_read_before_say_since_when_they_are_stale(
    as_viewer: APIClient, experiment: Experiment, route: str
) -> None:
    factories.create_job(experiment, section="SIM", chunk=1)
    break_it(experiment, READ_AT)
    answer = as_viewer.get(f"/v4/experiments/a000/{route}")
    assert (answer.status_code, answer["Portal-Stale-Since"]) == (200, "2026-03-01T12:00:00+00:00")


def test_the_list_of_jobs_says_so_itself_and_again_when_it_is_kept(
    as_viewer: APIClient, experiment: Experiment
) -> None:
    break_it(experiment, READ_AT)
    answers = [as_viewer.get("/v4/experiments/a000/jobs") for _ in range(2)]
    for answer in answers:
        assert answer.json()["stale_since"] == "2026-03-01T12:00:00+00:00" == answer["Portal-Stale-Since"]
        assert len(answer.json()["jobs"]) == 3


def test_who_has_the_jobs_already_is_told_that_they_have_become_stale(
    as_viewer: APIClient, experiment: Experiment
) -> None:
    fresh = as_viewer.get("/v4/experiments/a000/jobs")
    assert "stale_since" not in fresh.json()
    break_it(experiment, READ_AT)
    answer = as_viewer.get("/v4/experiments/a000/jobs", headers={"if-none-match": fresh["ETag"]})
    assert answer.status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_jobs_that_could_never_be_read_are_no_empty_list(
    as_viewer: APIClient, experiment: Experiment, route: str
) -> None:
    break_it(experiment, None)
    answer = as_viewer.get(f"/v4/experiments/a000/{route}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:autosubmit-portal:unreadable-job-list")
    assert "truncated: it is empty" in answer.json()["detail"]


def test_an_experiment_says_since_when_its_files_cannot_be_read(as_viewer: APIClient, experiment: Experiment) -> None:
    break_it(experiment, READ_AT)
    shown = as_viewer.get("/v4/experiments/a000").json()
    assert (shown["problem"], shown["problem_since"]) == (PROBLEM, "2026-03-01T12:00:00+00:00")
