"""Who is let in, and how."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment
from tests.support import factories

RUN = "/v4/experiments/a000?action=run"


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer", "token"])
def test_a_token_is_accepted_under_both_names(api: Callable[..., APIClient], viewer: User, scheme: str) -> None:
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {factories.create_token(viewer)}")
    assert client.get("/v4/experiments").status_code == 200


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Token nonsense", "Bearer é", "Bearer", "Bearer a b", "Basic eA=="]
)
def test_what_is_no_token_is_refused(api: Callable[..., APIClient], header: str) -> None:
    client = api()
    client.credentials(HTTP_AUTHORIZATION=header)
    answer = client.get("/v4/experiments")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_a_refused_token_is_a_failed_sign_in(api: Callable[..., APIClient]) -> None:
    client = api()
    client.credentials(HTTP_AUTHORIZATION="Bearer secret-text")
    client.get("/v4/experiments", REMOTE_ADDR="192.0.2.7")
    entry = AuditEntry.objects.get(event="sign_in.failed")
    assert (entry.door, entry.address, entry.subject) == ("api", "192.0.2.7", "API token")
    assert "secret" not in f"{entry.message}{entry.details}"


def test_an_expired_token_is_refused(api: Callable[..., APIClient], viewer: User) -> None:
    client = api()
    token = factories.create_token(viewer, expiry=timedelta(seconds=-1))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get("/v4/experiments").status_code == 401


def test_the_token_of_a_closed_account_is_refused(as_viewer: APIClient, viewer: User) -> None:
    viewer.is_active = False
    viewer.save()
    assert as_viewer.get("/v4/experiments").status_code == 401


def test_a_read_asks_once_for_its_token_with_its_account_and_rights(as_viewer: APIClient) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert as_viewer.get("/v4/auth/verify-token").status_code == 200
    assert sum("auth_user" in query["sql"] for query in captured) == 1


def test_a_revoked_token_changes_nothing_any_more(as_operator: APIClient, experiment: Experiment) -> None:
    assert as_operator.get("/v4/experiments").status_code == 200
    ApiToken.objects.all().delete()
    assert as_operator.post(RUN).status_code == 401
    assert not Action.objects.exists()


@pytest.mark.parametrize("path", ["experiments", "experiments/a000", "experiments/a000/jobs", "auth/verify-token"])
def test_a_revoked_token_reads_nothing_any_more(as_viewer: APIClient, experiment: Experiment, path: str) -> None:
    assert as_viewer.get(f"/v4/{path}").status_code == 200
    ApiToken.objects.all().delete()
    assert as_viewer.get(f"/v4/{path}").status_code == 401


def test_an_account_that_may_do_less_reads_less_with_its_next_request(as_viewer: APIClient, viewer: User) -> None:
    assert as_viewer.get("/v4/experiments").status_code == 200
    viewer.groups.clear()
    assert as_viewer.get("/v4/experiments").status_code == 403


def test_what_a_request_learns_of_its_account_stays_with_it(as_viewer: APIClient, viewer: User) -> None:
    first = as_viewer.get("/v4/experiments").wsgi_request.user
    second = as_viewer.get("/v4/experiments").wsgi_request.user
    assert first == second == viewer
    assert first is not second


def test_a_session_is_enough_to_read(client: Client, viewer: User, experiment: Experiment) -> None:
    client.force_login(viewer)
    assert client.get("/v4/experiments/a000").status_code == 200


def test_a_session_changes_nothing_without_its_csrf_token(operator: User, experiment: Experiment) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    answer = client.post(RUN, content_type="application/json")
    assert (answer.status_code, "CSRF" in answer.json()["detail"]) == (403, True)
    assert not Action.objects.exists()


def test_a_session_with_its_csrf_token_may_act(operator: User, experiment: Experiment) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    client.cookies["csrftoken"] = "x" * 32
    answer = client.post(RUN, content_type="application/json", headers={"X-CSRFToken": "x" * 32})
    assert answer.status_code == 202
    assert AuditEntry.objects.get(event="action.requested").actor_name == "operator"


@pytest.mark.parametrize("path", ["experiments", "experiments/a000", "experiments/a000/jobs", "actions", "sites"])
def test_who_holds_no_role_sees_nothing(api: Callable[..., APIClient], experiment: Experiment, path: str) -> None:
    answer = api(factories.create_user()).get(f"/v4/{path}")
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 403
    assert body["permission"].partition(".view_")[0] in ("experiments", "jobs")
