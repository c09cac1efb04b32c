"""One request for many experiments: an action and an answer for each."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.api.bulk import MOST_TARGETS
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, Site, State
from tests.api.test_schema import document, errors_of
from tests.support import factories

BULK = "/v4/actions"
MANY = 50


@pytest.fixture
def three(site: Site) -> list[Experiment]:
    """Three experiments: two that can be started, and one without a job list."""
    made = [factories.create_experiment(site, expid=expid) for expid in ("a000", "a001", "a002")]
    for experiment in made[:2]:
        factories.create_job(experiment, f"{experiment.expid}_SIM", status="FAILED")
    return made


def ask(client: APIClient, *expids: str, kind: str = "run", key: str = "", **body: Any) -> Any:
    targets = [{"expid": expid} for expid in expids]
    headers = {"Idempotency-Key": key} if key else None
    return client.post(BULK, {"kind": kind, "targets": targets} | body, format="json", headers=headers)


def statuses(answer: Any) -> list[int]:
    return [result["status"] for result in answer.json()["results"]]


def refusals() -> list[tuple[str, str]]:
    entries = AuditEntry.objects.filter(event="action.refused").order_by("pk")
    return list(entries.values_list("subject", "kind"))


def test_each_experiment_gets_an_action_of_its_own(as_operator: APIClient, three: list[Experiment]) -> None:
    answer = ask(as_operator, "a001", "a000", reason="first year")
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [(result["expid"], result["site"], result["status"]) for result in results] == [
        ("a001", "local", 202),
        ("a000", "local", 202),
    ]
    found = {action.expid: action for action in Action.objects.all()}
    assert [result["action"]["id"] for result in results] == [found["a001"].pk, found["a000"].pk]
    assert {action.reason for action in found.values()} == {"first year"}
    assert AuditEntry.objects.filter(event="action.requested").count() == 2


def test_what_is_refused_keeps_no_other_from_being_accepted(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    active = factories.create_action(three[1], kind="restart")
    answer = ask(as_operator, "a002", "a001", "a0zz", "a000")
    assert (answer.status_code, statuses(answer)) == (202, [409, 409, 404, 202])
    no_jobs, busy, unknown, _ = (result.get("problem") for result in answer.json()["results"])
    assert "Generate it first" in no_jobs["detail"]
    assert busy["action_id"] == active.pk
    assert unknown["detail"] == "There is no experiment a0zz."


def test_every_refusal_is_recorded(as_operator: APIClient, three: list[Experiment]) -> None:
    Experiment.objects.filter(expid="a001").update(is_running=True)
    ask(as_operator, "a002", "a001", "a0zz")
    assert refusals() == [("a002", "run"), ("a001", "run"), ("a0zz", "run")]


def test_who_lacks_the_permission_is_refused_each(as_viewer: APIClient, three: list[Experiment]) -> None:
    answer = ask(as_viewer, "a000", "a001")
    assert (answer.status_code, statuses(answer)) == (200, [403, 403])
    assert answer.json()["results"][0]["problem"]["permission"] == "experiments.request_run"
    assert refusals() == [("a000", "run"), ("a001", "run")]


def test_jobs_are_named_for_each_experiment(as_operator: APIClient, three: list[Experiment]) -> None:
    targets = [{"expid": "a000", "jobs": ["a000_SIM"]}, {"expid": "a001", "jobs": ["a000_SIM"]}]
    answer = ask(as_operator, kind="set_status", targets=targets, parameters={"status": "READY"})
    assert (answer.status_code, statuses(answer)) == (202, [202, 400])
    accepted, refused = answer.json()["results"]
    assert accepted["action"]["jobs"] == ["a000_SIM"]
    assert refused["problem"]["errors"] == {"jobs": ["Not a job of a001: a000_SIM."]}


def test_jobs_are_chosen_by_a_filter_for_all(as_operator: APIClient, three: list[Experiment]) -> None:
    parameters = {"status": "READY", "filter_status": ["FAILED"]}
    assert statuses(ask(as_operator, "a000", "a001", kind="set_status", parameters=parameters)) == [202, 202]


def test_the_same_expid_at_two_sites_is_two_experiments(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    other = factories.create_experiment(factories.create_site(slug="other"), expid="a000")
    factories.create_job(other)
    assert statuses(ask(as_operator, "a000")) == [409]
    targets = [{"expid": "a000", "site": "local"}, {"expid": "a000", "site": "other"}]
    assert statuses(ask(as_operator, targets=targets)) == [202, 202]


def test_a_reason_is_needed_only_where_something_is_lost(
    as_manager: APIClient, three: list[Experiment]
) -> None:
    answer = ask(as_manager, "a000", "a002", kind="generate")
    assert statuses(answer) == [400, 202]
    lost = "a000 loses the progress of 1 job: 1 FAILED."
    assert answer.json()["results"][0]["problem"]["errors"] == {"reason": [f"Say why: {lost}"]}


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_dry_run_answers_each_command_and_changes_nothing(
    as_operator: APIClient, three: list[Experiment], query: str
) -> None:
    body = {"kind": "run", "targets": [{"expid": "a000"}, {"expid": "a002"}]}
    answer = as_operator.post(BULK + query, body if query else body | {"dry_run": True}, format="json")
    assert (answer.status_code, statuses(answer)) == (200, [200, 409])
    assert answer.json()["results"][0]["dry_run"]["command"][0][1:] == ["run", "a000"]
    assert not Action.objects.exists()


def test_a_wait_answers_the_ends(as_operator: APIClient, three: list[Experiment]) -> None:
    ask(as_operator, "a000", key="k")
    Action.objects.update(state=State.SUCCEEDED, message="Done")
    body = {"kind": "run", "targets": [{"expid": "a000"}]}
    answer = as_operator.post(BULK, body, format="json", HTTP_IDEMPOTENCY_KEY="k", HTTP_PREFER="wait=5")
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=5")
    assert answer.json()["results"][0]["action"]["message"] == "Done"


# --- Repeating it


def test_a_repeated_request_answers_the_first_actions(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    first, again = (ask(as_operator, "a000", "a001", key="k") for _ in range(2))
    assert ("Idempotent-Replayed" in first, again["Idempotent-Replayed"]) == (False, "true")
    assert [result["is_replay"] for result in again.json()["results"]] == [True, True]
    ids = [[result["action"]["id"] for result in answer.json()["results"]] for answer in (first, again)]
    assert ids[0] == ids[1]
    assert Action.objects.count() == 2


def test_what_was_refused_is_asked_for_again(as_operator: APIClient, three: list[Experiment]) -> None:
    assert statuses(ask(as_operator, "a000", "a002", key="k")) == [202, 409]
    factories.create_job(three[2])
    again = ask(as_operator, "a000", "a002", key="k")
    assert statuses(again) == [202, 202]
    assert [result["is_replay"] for result in again.json()["results"]] == [True, False]


@pytest.mark.parametrize(
    "body",
    [{"targets": [{"expid": "a001"}]}, {"reason": "another"}, {"kind": "restart"}],
    ids=str,
)
def test_another_body_under_the_same_key_is_refused_as_a_whole(
    as_operator: APIClient, three: list[Experiment], body: Any
) -> None:
    first = ask(as_operator, "a000", key="k").json()["results"][0]["action"]["id"]
    answer = ask(as_operator, "a000", key="k", **body)
    assert (answer.status_code, answer.json()["action_id"]) == (422, first)
    assert refusals() == [("many experiments", "")]
    assert Action.objects.count() == 1


# --- Malformed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "fly"}, "kind"),
        ({"kind": "create"}, "kind"),
        ({"targets": []}, "targets"),
        ({"targets": "a000"}, "targets"),
        ({"targets": ["a000"]}, "targets"),
        ({"targets": [{"site": "local"}]}, "targets"),
        ({"targets": [{"expid": "a000"}, {"expid": "a000"}]}, "targets"),
        ({"targets": [{"expid": "a000"}, {"expid": "a000", "site": "local"}]}, "targets"),
        ({"targets": [{"expid": "a000", "job": ["a000_SIM"]}]}, "targets"),
        ({"targets": [{"expid": f"a{number:03d}"} for number in range(MOST_TARGETS + 1)]}, "targets"),
        ({"parameters": ["READY"]}, "parameters"),
        ({"dryrun": True}, "dryrun"),
        ({"dry_run": "perhaps"}, "dry_run"),
        ({"reason": "a\0b"}, "reason"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_malformed_request_is_refused_as_a_whole(
    as_operator: APIClient, three: list[Experiment], body: Any, field: str
) -> None:
    whole = (
        {"kind": "run", "targets": [{"expid": "a000"}]} | body if body else {"targets": [{"expid": "a000"}]}
    )
    answer = as_operator.post(BULK, whole, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert refusals() == [("many experiments", "")]
    assert not Action.objects.exists()


def test_a_body_that_is_no_object_is_refused_and_recorded(
    as_operator: APIClient, three: list[Experiment]
) -> None:
    for body in ("[]", "{", '"run"'):
        assert as_operator.post(BULK, body, content_type="application/json").status_code == 400
    assert refusals() == [("many experiments", "")] * 3


# --- Documented, and bounded


def test_the_answers_are_as_described(as_operator: APIClient, three: list[Experiment]) -> None:
    told = document()["paths"][BULK]["post"]["responses"]
    for answer in (ask(as_operator, "a000", "a002"), ask(as_operator, "a001", dry_run=True)):
        schema = told[str(answer.status_code)]["content"]["application/json"]["schema"]
        assert errors_of(schema, answer.json()) == []


def test_many_experiments_are_asked_for_with_few_queries_each(
    api: Callable[..., APIClient], operator: User, site: Site
) -> None:
    made = [factories.create_experiment(site, total_jobs=1) for _ in range(MANY)]
    client = api(operator)
    with CaptureQueriesContext(connection) as captured:
        answer = ask(client, *[experiment.expid for experiment in made], key="k")
    assert set(statuses(answer)) == {202}
    # find, key, freeze, look again, savepoint, action, place in the chain (two on PostgreSQL), entry, savepoint
    assert len(captured) <= 10 * MANY + 10
