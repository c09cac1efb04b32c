"""Freezing through the API."""

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, Freeze
from tests.support import factories

pytestmark = pytest.mark.django_db

BODY = {"platform": "mn5", "message": "New disks", "ends_at": "2126-01-01T00:00:00Z"}


def test_a_manager_freezes_a_platform_and_reads_who_is_affected(as_manager: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(is_running=True)
    answer = as_manager.post("/v4/freezes", BODY, format="json")
    assert (answer.status_code, answer.json()["is_active"]) == (201, True)
    assert answer.json()["affected"] == [{"expid": "a000", "owner": "ana", "hpc": "MN5"}]
    assert as_manager.get(answer["Location"]).json() == answer.json()


def test_a_start_is_answered_409_with_the_message(as_operator: APIClient, experiment: Experiment) -> None:
    factories.create_freeze(experiment.site, message="New disks")
    answer = as_operator.post("/v4/experiments/a000?action=run")
    assert (answer.status_code, answer.json()["detail"]) == (409, "local is frozen: New disks")


def test_an_operator_is_told_the_missing_permission(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post("/v4/freezes", BODY, format="json")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.freeze_site")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"message": ""}, "message"),
        ({"ends_at": 7}, "ends_at"),
        ({"ends_at": "2001-01-01"}, "ends_at"),
        ({"site": "nowhere"}, "site"),
    ],
)
def test_a_body_that_makes_no_sense_names_the_field(
    wrong: dict[str, object], field: str, as_manager: APIClient, experiment: Experiment
) -> None:
    answer = as_manager.post("/v4/freezes", BODY | wrong, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_manager_ends_it_and_it_stays_in_the_list(as_manager: APIClient, experiment: Experiment) -> None:
    made = factories.create_freeze(experiment.site)
    answer = as_manager.delete(f"/v4/freezes/{made.pk}")
    assert (answer.status_code, answer.json()["ended_by"]) == (200, "manager")
    assert as_manager.delete(f"/v4/freezes/{made.pk}").status_code == 409
    assert len(as_manager.get("/v4/freezes").json()["results"]) == 1
    assert as_manager.get("/v4/freezes?active=true").json()["results"] == []


def test_an_operator_does_not_end_it(as_operator: APIClient, experiment: Experiment) -> None:
    made = factories.create_freeze(experiment.site)
    assert as_operator.delete(f"/v4/freezes/{made.pk}").status_code == 403
    assert Freeze.objects.get().ended_at is None


def test_a_viewer_reads_freezes_of_a_site(as_viewer: APIClient, experiment: Experiment) -> None:
    factories.create_freeze(experiment.site)
    assert len(as_viewer.get("/v4/freezes?site=local").json()["results"]) == 1
    assert as_viewer.get("/v4/freezes?site=other").json()["results"] == []
    assert as_viewer.get("/v4/freezes/0").status_code == 404
