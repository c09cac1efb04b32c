"""Access tokens of the identity provider at the API. Which ones are believed: tests/access/test_tokens.py."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment
from tests.support import factories
from tests.support.identity_provider import Provider

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
LIST, RUN = "/v4/experiments", "/v4/experiments/a000?action=run"


def bearing(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_somebody_with_an_access_token_may_do_what_the_claims_grant(provider: Provider, experiment: Experiment) -> None:
    provider.know("ana", groups=["/viewers"])
    client = bearing(provider.access_token("ana"))
    assert client.get(LIST).status_code == 200
    assert client.post(RUN).status_code == 403
    assert User.objects.get().username == "ana"


def test_a_program_with_credentials_of_its_own_may_start_an_experiment(
    provider: Provider, experiment: Experiment
) -> None:
    assert bearing(provider.robot_token()).post(RUN).status_code == 202
    assert AuditEntry.objects.get(event="action.requested").actor_name == "service-account-nightly"


def test_the_console_and_the_api_know_one_account(provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    for _ in range(3):
        bearing(provider.access_token("ana")).get(LIST)
    assert (User.objects.count(), SocialAccount.objects.count()) == (1, 1)


def test_a_token_that_is_refused_is_in_the_trail_without_the_token(provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    token = provider.access_token("ana", aud="another")
    answer = bearing(token).get(LIST)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert "another audience" in answer.json()["detail"]
    entry = AuditEntry.objects.get(event="sign_in.failed")
    assert (entry.subject, entry.message) == ("OIDC bearer", "The token is for another audience.")
    assert token[:20] not in f"{entry.message}{entry.details}{answer.content!r}"
    assert not User.objects.exists()


def test_an_id_token_is_no_bearer_token(provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    assert bearing(provider.access_token("ana", typ="ID")).get(LIST).status_code == 401


def test_an_api_token_works_beside_the_provider(
    provider: Provider, api: Callable[..., APIClient], viewer: User
) -> None:
    assert api(viewer).get(LIST).status_code == 200
    assert provider.asked == []


def test_without_a_provider_a_jwt_is_an_unknown_token(provider: Provider, settings: Any) -> None:
    provider.know("ana", groups=["/viewers"])
    token = provider.access_token("ana")
    settings.PROVIDERS = ()
    answer = bearing(token).get(LIST)
    assert (answer.status_code, "unknown" in answer.json()["detail"]) == (401, True)


def test_a_token_of_a_closed_account_is_refused(provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    client = bearing(provider.access_token("ana"))
    client.get(LIST)
    User.objects.update(is_active=False)
    assert client.get(LIST).status_code == 401


def test_a_local_account_of_the_same_name_is_not_taken_over(provider: Provider) -> None:
    factories.create_user(username="admin", email="admin@example.org", is_superuser=True)
    provider.know("admin", groups=["/viewers"], email="admin@example.org", email_verified=True)
    assert bearing(provider.access_token("admin")).get("/v4/audit").status_code == 403
    assert User.objects.filter(is_superuser=True).count() == 1


def test_a_provider_that_is_away_is_said_so_where_no_key_is_known(provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    provider.is_away = True
    answer = bearing(provider.access_token("ana")).get(LIST)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")


def test_a_token_of_the_provider_costs_one_query_more_than_an_api_token(
    provider: Provider, api: Callable[..., APIClient], viewer: User
) -> None:
    provider.know("ana", groups=["/viewers"])
    costs = []
    for client in (bearing(provider.access_token("ana")), api(viewer)):
        client.get(LIST)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST).status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1] + 1  # for the permissions, which come with an API token


def test_a_younger_token_changes_what_is_granted_and_an_older_one_does_not(provider: Provider) -> None:
    provider.know("ana", groups=["/managers"])
    old = provider.access_token("ana", iat=1_000_000)
    provider.know("ana", groups=["/viewers"])
    new = provider.access_token("ana")
    groups = []
    for token in (old, new, old):
        bearing(token).get(LIST)
        groups.append([group.name for group in User.objects.get().groups.all()])
    assert groups == [["Manager"], ["Viewer"], ["Viewer"]]


def test_a_token_without_the_claim_leaves_what_was_granted(provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    bearing(provider.access_token("ana")).get(LIST)
    assert bearing(provider.access_token("ana", groups=None)).get(LIST).status_code == 200


def test_an_account_is_made_once_by_two_requests_at_the_same_moment(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autosubmit_portal.access.sign_in import provision

    provider.know("ana", groups=["/viewers"])
    bearing(provider.access_token("ana")).get(LIST)
    known, answers = provision._find_known, [None]
    monkeypatch.setattr(provision, "_find_known", lambda person: answers.pop() if answers else known(person))
    assert bearing(provider.access_token("ana")).get(LIST).status_code == 200
    assert SocialAccount.objects.count() == 1
