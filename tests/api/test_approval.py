"""Approving and rejecting through the API."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from experiments.models import Action, Experiment, Site, State
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(as_operator: APIClient, experiment: Experiment) -> str:
    """The address of a run that waits for approval."""
    Site.objects.update(approval_kinds=["run"])
    answer = as_operator.post("/v4/experiments/a000?action=run", HTTP_PREFER="wait=20")
    assert (answer.status_code, answer.json()["state"]) == (202, "awaiting_approval")
    return str(answer["Location"])


@pytest.fixture
def as_second(api: Callable[..., APIClient], actor: Callable[..., User]) -> APIClient:
    return api(actor(Role.OPERATOR, username="second"))


def test_a_second_person_approves(as_second: APIClient, waiting: str) -> None:
    answer = as_second.post(f"{waiting}/approve")
    assert (answer.status_code, answer.json()["state"], answer.json()["approved_by"]) == (200, "queued", "second")


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_another_token_of_the_requester_is_no_second_person(
    api: Callable[..., APIClient], operator: User, waiting: str, decision: str
) -> None:
    body = {"reason": "no"} if decision == "reject" else None
    answer = api(operator).post(f"{waiting}/{decision}", body, format="json")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:autosubmit-portal:second-person-needed")


def test_a_viewer_is_told_the_missing_permission(as_viewer: APIClient, waiting: str) -> None:
    answer = as_viewer.post(f"{waiting}/approve")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.request_run")


def test_a_second_person_rejects_with_a_reason(as_second: APIClient, waiting: str) -> None:
    assert as_second.post(f"{waiting}/reject", {}, format="json").json()["errors"].keys() == {"reason"}
    answer = as_second.post(f"{waiting}/reject", {"reason": "Too early"}, format="json")
    assert (answer.status_code, answer.json()["message"]) == (200, "Rejected by second: Too early")


def test_what_does_not_wait_is_a_conflict(as_second: APIClient, experiment: Experiment) -> None:
    action = factories.create_action(experiment, state=State.SUCCEEDED)
    assert as_second.post(f"/v4/actions/{action.pk}/approve").status_code == 409


def test_a_dry_run_says_that_a_second_person_is_needed(as_operator: APIClient, experiment: Experiment) -> None:
    Site.objects.update(approval_kinds=["restart"])
    assert as_operator.post("/v4/experiments/a000?action=restart&dry_run=true").json()["needs_approval"]
    assert not as_operator.post("/v4/experiments/a000?action=run&dry_run=true").json()["needs_approval"]


def test_what_waits_and_what_somebody_approved_is_found(as_second: APIClient, waiting: str) -> None:
    assert len(as_second.get("/v4/actions?state=awaiting_approval").json()["results"]) == 1
    as_second.post(f"{waiting}/approve")
    assert len(as_second.get("/v4/actions?approver=second").json()["results"]) == 1
    assert Action.objects.get().approved_by_name == "second"


def test_the_site_says_what_needs_approval(as_viewer: APIClient, waiting: str) -> None:
    assert as_viewer.get("/v4/sites/local").json()["approval_kinds"] == ["run"]
