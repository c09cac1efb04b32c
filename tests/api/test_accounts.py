"""The Unix account of a command in the API: told, never taken from the request."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from autosubmit_portal.access.models import SiteAccount
from experiments.models import Experiment, Site
from experiments.models.site import RunAs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_people(experiment: Experiment, operator: User) -> None:
    Site.objects.update(run_as=RunAs.ACTOR)
    SiteAccount.objects.create(user=operator, site=experiment.site, unix_name="ana")


def test_a_dry_run_and_the_action_tell_the_account(as_operator: APIClient) -> None:
    for query in ("&dry_run=true", ""):
        answer = as_operator.post(f"/v4/experiments/a000?action=run{query}")
        assert answer.json()["unix_name"] == "ana"


def test_the_request_does_not_choose_the_account(as_operator: APIClient) -> None:
    answer = as_operator.post("/v4/experiments/a000?action=run", {"unix_name": "root"}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["unix_name"])


def test_who_has_no_account_is_told_so(as_manager: APIClient) -> None:
    answer = as_manager.post("/v4/experiments/a000?action=run")
    assert answer.status_code == 409
    assert "manager has no Unix account there" in answer.json()["detail"]


def test_the_site_says_whose_accounts_are_used(as_viewer: APIClient) -> None:
    assert as_viewer.get("/v4/sites/local").json()["run_as"] == "actor"
