"""`Idempotency-Key`: asking again answers the action that the first request has made."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, Site, State
from tests.support import factories

RUN = "/v4/experiments/a000?action=run"
KEY = "0b1f6e2c-58a5-4a53-9c1f-2b6a7f0d3f11"
# Every request that asks for an action.
REQUESTS: list[tuple[str, str, Any]] = [
    ("post", RUN, {"reason": "first year"}),
    ("post", "/v4/experiments", {"description": "Ocean"}),
    ("patch", "/v4/experiments/a000", {"description": "Ocean"}),
    ("patch", "/v4/experiments/a000/jobs?status=READY", {"filter_status": ["FAILED"]}),
    ("patch", "/v4/experiments/a000/jobs/a000_POST?status=READY", None),
]
each_request = pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=[r[1] for r in REQUESTS])


def ask(client: APIClient, path: str = RUN, body: Any = None, *, method: str = "post", key: str = KEY) -> Any:
    return getattr(client, method)(path, body, format="json", HTTP_IDEMPOTENCY_KEY=key)


@each_request
def test_a_repeated_request_answers_the_first_action(
    as_manager: APIClient, experiment: Experiment, method: str, path: str, body: Any
) -> None:
    first, again = (ask(as_manager, path, body, method=method) for _ in range(2))
    assert (first.status_code, "Idempotent-Replayed" in first) == (202, False)
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert Action.objects.count() == AuditEntry.objects.filter(event="action.requested").count() == 1


@each_request
def test_an_action_that_has_ended_is_answered_with_200(
    as_manager: APIClient, experiment: Experiment, method: str, path: str, body: Any
) -> None:
    ask(as_manager, path, body, method=method)
    Action.objects.update(state=State.FAILED, message="Some jobs failed")
    again = ask(as_manager, path, body, method=method)
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert (again.json()["state"], again.json()["message"]) == ("failed", "Some jobs failed")


def test_a_slash_at_the_end_is_the_same_request(as_operator: APIClient, experiment: Experiment) -> None:
    ask(as_operator)
    assert ask(as_operator, "/v4/experiments/a000/?action=run").status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", RUN, {"reason": "another"}),
        ("post", "/v4/experiments/a000?action=generate", None),
        ("post", "/v4/experiments/a000?action=run&site=local", None),
        ("post", "/v4/experiments/a001?action=run", None),
        ("post", "/v4/experiments", {"description": "Ocean"}),
        ("patch", "/v4/experiments/a000", {"description": "Ocean"}),
        ("post", "/v4/actions", {"kind": "run", "targets": [{"expid": "a001"}]}),
    ],
)
def test_another_request_under_the_same_key_is_refused_with_the_first_action(
    as_manager: APIClient, experiment: Experiment, method: str, path: str, body: Any
) -> None:
    factories.create_job(factories.create_experiment(experiment.site, expid="a001"))
    first = ask(as_manager).json()
    answer = ask(as_manager, path, body, method=method)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:autosubmit-portal:idempotency-key-reused")
    assert (answer.json()["action_id"], answer.json()["action"]) == (first["id"], first["url"])
    assert AuditEntry.objects.filter(event="action.refused", message=answer.json()["detail"]).count() == 1
    assert Action.objects.count() == 1


def test_a_key_belongs_to_whoever_uses_it(
    api: Callable[..., APIClient], as_operator: APIClient, experiment: Experiment
) -> None:
    ask(as_operator)
    Action.objects.update(state=State.SUCCEEDED)
    other = ask(api(factories.create_user(Role.OPERATOR)), body={"reason": "mine"})
    assert (other.status_code, "Idempotent-Replayed" in other) == (202, False)
    assert Action.objects.count() == 2


def test_a_refused_request_uses_up_no_key(as_operator: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(is_running=True)
    assert ask(as_operator).status_code == 409
    Experiment.objects.update(is_running=False)
    answer = ask(as_operator, body={"reason": "now"})
    assert (answer.status_code, "Idempotent-Replayed" in answer) == (202, False)


def test_a_dry_run_ignores_the_key(as_operator: APIClient, experiment: Experiment) -> None:
    assert ask(as_operator, f"{RUN}&dry_run=true").status_code == 200
    first = ask(as_operator)
    assert (first.status_code, "Idempotent-Replayed" in first) == (202, False)
    Action.objects.update(state=State.SUCCEEDED)
    assert ask(as_operator, f"{RUN}&dry_run=true").json()["dry_run"] is True


def test_autosubmits_own_dry_run_is_an_action_and_has_a_key(as_operator: APIClient, experiment: Experiment) -> None:
    path = "/v4/experiments/a000?action=restart&dry_run=autosubmit"
    first, again = ask(as_operator, path), ask(as_operator, path)
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert first.json()["id"] == again.json()["id"]


def test_who_has_lost_the_permission_gets_no_answer(
    as_operator: APIClient, operator: User, experiment: Experiment
) -> None:
    ask(as_operator)
    operator.groups.clear()
    assert ask(as_operator).status_code == 403


def test_the_answer_outlives_the_health_of_the_site(as_operator: APIClient, experiment: Experiment) -> None:
    ask(as_operator)
    Site.objects.update(problem="The Autosubmit program is missing.")
    assert ask(as_operator).status_code == 202


@pytest.mark.parametrize("key", ["", "   ", "x" * 256, "schlüssel", "a\tb"], ids=repr)
def test_what_is_no_key_is_refused(as_operator: APIClient, experiment: Experiment, key: str) -> None:
    answer = ask(as_operator, key=key)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["Idempotency-Key"])
    assert not Action.objects.exists()


def test_a_repeated_request_waits_as_the_first_one_does(as_operator: APIClient, experiment: Experiment) -> None:
    ask(as_operator)
    Action.objects.update(state=State.SUCCEEDED)
    again = as_operator.post(RUN, format="json", HTTP_IDEMPOTENCY_KEY=KEY, HTTP_PREFER="wait=20")
    assert (again.status_code, again["Preference-Applied"]) == (200, "wait=20")
