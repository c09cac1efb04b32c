"""An expid that names several experiments means the one that is there, and one that is gone while no other has it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from tests.support import factories

ROUTES = ("", "/jobs", "/runs", "/permissions")


@pytest.fixture
def gone(site: Site) -> list[Experiment]:
    """Two that had the name before, the second one later."""
    days = (timezone.now() - timedelta(days=2), timezone.now() - timedelta(days=1))
    return [
        factories.create_experiment(site, expid="a000", autosubmit_id=number, gone_at=day)
        for number, day in enumerate(days, start=1)
    ]


@pytest.mark.parametrize("route", ROUTES)
def test_the_one_that_is_there_is_meant(
    route: str, as_viewer: APIClient, gone: list[Experiment], experiment: Experiment
) -> None:
    factories.create_job(experiment, "a000_NEW")
    factories.create_job(gone[1], "a000_OLD")
    answer = as_viewer.get(f"/v4/experiments/a000{route}")
    assert answer.status_code == 200
    assert "a000_OLD" not in answer.content.decode()


def test_one_that_is_gone_is_read_while_no_other_has_its_name(as_viewer: APIClient, gone: list[Experiment]) -> None:
    answer = as_viewer.get("/v4/experiments/a000").json()
    assert (answer["id"], answer["gone_at"] is not None) == (2, True)


def test_all_that_are_gone_are_in_the_list_of_those(
    as_viewer: APIClient, gone: list[Experiment], experiment: Experiment
) -> None:
    answers = [as_viewer.get(f"/v4/experiments?gone={said}").json()["experiments"] for said in ("true", "false")]
    assert [sorted(found["id"] for found in answer) for answer in answers] == [[1, 2], [0]]


def test_one_that_is_gone_is_not_acted_on(as_operator: APIClient, gone: list[Experiment]) -> None:
    assert as_operator.post("/v4/experiments/a000?action=run").status_code == 409


def test_one_that_is_there_is_acted_on(as_operator: APIClient, gone: list[Experiment], experiment: Experiment) -> None:
    assert as_operator.post("/v4/experiments/a000?action=run").status_code == 202
    assert experiment.actions.count() == 1
