"""How much one client may ask in a minute, and what is too much for one request."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.api.http import throttling
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment
from tests.api.test_schema import document, errors_of
from tests.support import factories

ACTIONS = "/v4/actions"
RUN = "/v4/experiments/a000?action=run"
WRONG = {"HTTP_AUTHORIZATION": "Bearer nonsense"}


@pytest.fixture(autouse=True)
def _new_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "counted_requests", throttling.Window())
    monkeypatch.setattr(time, "monotonic", lambda: 6000.0)


def codes(client: APIClient, times: int, path: str = ACTIONS, **extra: Any) -> list[int]:
    return [client.get(path, **extra).status_code for _ in range(times)]


def test_a_process_lets_its_share_of_the_reads_through(settings: Any, as_viewer: APIClient) -> None:
    settings.THROTTLE_READS, settings.WEB_PROCESSES = 4, 2
    assert codes(as_viewer, 3) == [200, 200, 429]


def test_the_next_minute_begins_anew(settings: Any, as_viewer: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.THROTTLE_READS, settings.WEB_PROCESSES = 1, 1
    assert codes(as_viewer, 2) == [200, 429]
    monkeypatch.setattr(time, "monotonic", lambda: 6060.0)
    assert codes(as_viewer, 2) == [200, 429]


def test_accounts_do_not_use_up_each_others_limit(settings: Any, as_viewer: APIClient, as_operator: APIClient) -> None:
    settings.THROTTLE_READS, settings.WEB_PROCESSES = 1, 1
    assert codes(as_viewer, 2) + codes(as_operator, 1) == [200, 429, 200]


def test_who_asks_too_often_is_told_when_to_ask_again(settings: Any, as_viewer: APIClient) -> None:
    settings.THROTTLE_READS = 1
    answer = [as_viewer.get(ACTIONS) for _ in range(2)][-1]
    assert (answer["Content-Type"], answer["Retry-After"]) == ("application/problem+json", "60")
    assert answer.json()["type"].endswith(":throttled")
    assert errors_of({"$ref": "#/components/schemas/Problem"}, answer.json()) == []


def test_off_is_no_limit(settings: Any, as_viewer: APIClient) -> None:
    settings.THROTTLE_READS = settings.THROTTLE_ACTIONS = None
    assert codes(as_viewer, 5) == [200] * 5


def test_a_read_is_counted_without_the_database(settings: Any, as_viewer: APIClient) -> None:
    costs = []
    for limit in (1000, None):
        settings.THROTTLE_READS = limit
        with CaptureQueriesContext(connection) as captured:
            as_viewer.get(ACTIONS)
        costs.append(len(captured))
    assert costs[0] == costs[1]


def test_changes_are_counted_by_the_trail_whichever_process_they_came_to(
    settings: Any, as_operator: APIClient, experiment: Experiment
) -> None:
    settings.THROTTLE_ACTIONS = 2
    answers = [as_operator.post(RUN) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 409, 429]
    assert answers[-1]["Retry-After"] == "15"
    assert Action.objects.count() == 1


def test_what_somebody_else_asked_does_not_count(
    settings: Any, as_operator: APIClient, experiment: Experiment, actor: Callable[..., User], api: Any
) -> None:
    settings.THROTTLE_ACTIONS = 1
    as_operator.post(RUN)
    assert api(actor(Role.OPERATOR)).post(RUN).status_code == 409


def test_reads_go_on_when_no_more_changes_may_be_asked_for(
    settings: Any, as_operator: APIClient, experiment: Experiment
) -> None:
    settings.THROTTLE_ACTIONS = 1
    as_operator.post(RUN)
    assert (as_operator.post(RUN).status_code, codes(as_operator, 1)) == (429, [200])


def test_wrong_tokens_do_not_fill_the_trail(settings: Any, api: Callable[..., APIClient], db: None) -> None:
    settings.THROTTLE_ANONYMOUS = 2
    assert codes(api(), 4, **WRONG) == [401, 401, 429, 429]
    assert AuditEntry.objects.filter(event="sign_in.failed").count() == 2


def test_a_good_token_is_let_in_from_an_address_that_guesses(
    settings: Any, api: Callable[..., APIClient], as_viewer: APIClient
) -> None:
    settings.THROTTLE_ANONYMOUS = 1
    codes(api(), 3, **WRONG)
    assert codes(as_viewer, 1) == [200]


def test_a_load_balancer_may_ask_for_the_health_without_limit(
    settings: Any, api: Callable[..., APIClient], db: None
) -> None:
    settings.THROTTLE_ANONYMOUS, settings.WEB_PROCESSES = 2, 1
    factories.create_site()
    assert 429 not in codes(api(), 4, "/healthz")


def test_every_route_but_the_health_says_in_the_document_that_it_may_be_asked_too_often() -> None:
    paths = document()["paths"]
    told = {path for path, ways in paths.items() if all("429" in way["responses"] for way in ways.values())}
    assert paths.keys() - told == {"/healthz"}


@pytest.mark.parametrize("nest", ['{"a": ' * 40 + "1" + "}" * 40, "[" * 5000 + "]" * 5000])
def test_a_body_that_is_nested_too_deeply_is_refused(as_operator: APIClient, experiment: Experiment, nest: str) -> None:
    answer = as_operator.generic("POST", RUN, nest, content_type="application/json")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (400, "malformed-body")
    assert "levels deep" in answer.json()["detail"]


def test_a_body_that_is_too_long_is_refused(as_operator: APIClient, experiment: Experiment) -> None:
    body = json.dumps({"reason": "x" * 2_700_000})
    answer = as_operator.generic("POST", RUN, body, content_type="application/json")
    assert (answer.status_code, "2,621,440" in answer.json()["detail"]) == (413, True)


def test_a_query_with_too_many_parameters_is_refused(as_viewer: APIClient) -> None:
    answer = as_viewer.get(f"{ACTIONS}?{'a=1&' * 1500}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["type"].endswith(":too-many-fields")
