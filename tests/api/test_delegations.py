"""Lending rights through the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from experiments.models import Experiment

pytestmark = pytest.mark.django_db


def body(**values: Any) -> dict[str, Any]:
    ends_at = (timezone.now() + timedelta(days=3)).isoformat()
    return {"grantee": "colleague", "ends_at": ends_at, "reason": "Holidays"} | values


@pytest.fixture
def as_colleague(api: Callable[..., APIClient], actor: Callable[..., User]) -> APIClient:
    """Somebody without any right."""
    return api(actor(username="colleague"))


def test_a_colleague_starts_what_was_lent_until_it_is_revoked(
    as_operator: APIClient, as_colleague: APIClient, experiment: Experiment
) -> None:
    assert as_colleague.post("/v4/experiments/a000?action=run&dry_run=true").status_code in (403, 404)
    made = as_operator.post("/v4/delegations", body(expid="a000"), format="json")
    assert (made.status_code, made.json()["expid"], made.json()["is_active"]) == (201, "a000", True)
    started = as_colleague.post("/v4/experiments/a000?action=run")
    assert (started.status_code, started.json()["on_behalf_of"]) == (202, "operator")
    assert as_operator.delete(made["Location"]).json()["revoked_by"] == "operator"
    assert as_operator.delete(made["Location"]).status_code == 409
    assert as_colleague.get("/v4/experiments/a000").status_code in (403, 404)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"grantee": "nobody"}, "grantee"),
        ({"role": "emperor"}, "role"),
        ({"role": "manager"}, "role"),
        ({"team": "nowhere"}, "team"),
        ({"ends_at": "2001-01-01"}, "ends_at"),
        ({"ends_at": None}, "ends_at"),
        ({"reason": ""}, "reason"),
    ],
)
def test_what_is_wrong_is_named(
    wrong: dict[str, Any], field: str, as_operator: APIClient, as_colleague: APIClient
) -> None:
    answer = as_operator.post("/v4/delegations", body(**wrong), format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_everybody_sees_their_own_and_managers_all(
    as_operator: APIClient, as_colleague: APIClient, as_viewer: APIClient, as_manager: APIClient
) -> None:
    address = as_operator.post("/v4/delegations", body(), format="json")["Location"]
    assert [client.get(address).status_code for client in (as_colleague, as_viewer, as_manager)] == [200, 404, 200]
    assert as_viewer.get("/v4/delegations").json()["results"] == []
    assert len(as_colleague.get("/v4/delegations?active=true&grantor=operator").json()["results"]) == 1


def test_the_grantee_does_not_revoke(as_operator: APIClient, as_colleague: APIClient) -> None:
    address = as_operator.post("/v4/delegations", body(), format="json")["Location"]
    assert as_colleague.delete(address).status_code == 403
