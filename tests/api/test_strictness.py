"""A request says one thing: what is empty, given twice or unknown is refused by name, and nothing is done."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken, Delegation
from experiments.models import Action, Experiment, Freeze
from tests.support import factories

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

RUN = "/v4/experiments/a000?action=run"
JSON = "application/json"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("dry_run=", "dry_run"),
        ("dry_run=true&dry_run=false", "dry_run"),
        ("dry_run=false&dry_run=true", "dry_run"),
        ("dry_run=true&dry_run=", "dry_run"),
        ("Dry_Run=true", "Dry_Run"),
        ("dry_run[]=true", "dry_run[]"),
        ("site=", "site"),
        ("action=stop", "action"),
    ],
)
def test_a_change_whose_address_says_two_things_or_nothing_is_refused(
    as_operator: APIClient, experiment: Experiment, query: str, field: str
) -> None:
    answer = as_operator.post(f"{RUN}&{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert not Action.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v4/experiments"),
        ("patch", "/v4/experiments/a000"),
        ("patch", "/v4/experiments/a000/jobs"),
        ("patch", "/v4/experiments/a000/jobs/a000_POST"),
        ("post", "/v4/actions"),
    ],
)
@pytest.mark.parametrize("query", ["dry_run=", "dry_run=true&dry_run=false"])
def test_every_route_of_actions_is_as_strict(
    as_manager: APIClient, experiment: Experiment, method: str, path: str, query: str
) -> None:
    answer = getattr(as_manager, method)(f"{path}?{query}", {}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["dry_run"])


def test_a_parameter_that_says_the_same_twice_is_no_mistake(as_operator: APIClient, experiment: Experiment) -> None:
    assert as_operator.post(f"{RUN}&dry_run=true&dry_run=true").json()["dry_run"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"dry_run": true, "dry_run": false}', "dry_run"),
        ('{"reason": "x", "reason": "x"}', "reason"),
        ('{"dry_run": true, "dry\\u005frun": false}', "dry_run"),
        ('{"reason": {"\\ud800": 1, "\\ud800": 2}}', "\\ud800"),
    ],
)
def test_a_name_that_stands_twice_in_a_body_is_refused(
    as_operator: APIClient, experiment: Experiment, body: str, field: str
) -> None:
    answer = as_operator.post(RUN, body, content_type=JSON)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert not Action.objects.exists()


UNKNOWN = [
    ("post", "/v4/tokens", {"name": "x"}),
    ("post", "/v4/delegations", {"grantee": "viewer", "ends_at": "2999-01-01T00:00:00Z", "reason": "x"}),
    ("post", "/v4/freezes", {"message": "x"}),
    ("post", "/v4/actions", {"kind": "run", "targets": [{"expid": "a000"}]}),
    ("post", RUN, {}),
    ("post", "/v4/actions/{}/cancel", {}),
    ("post", "/v4/actions/{}/approve", {}),
    ("post", "/v4/actions/{}/reject", {"reason": "x"}),
    ("delete", "/v4/freezes/1", {}),
    ("delete", "/v4/delegations/1", {}),
    ("delete", "/v4/tokens/x", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), UNKNOWN, ids=[f"{row[0]} {row[1]}" for row in UNKNOWN])
def test_an_unknown_field_of_a_body_is_refused_by_name(
    as_manager: APIClient, experiment: Experiment, method: str, path: str, body: dict[str, Any]
) -> None:
    action = factories.create_action(experiment)
    answer = getattr(as_manager, method)(path.format(action.pk), body | {"dryrun": True}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["dryrun"])
    assert (Action.objects.get().state, ApiToken.objects.count()) == ("queued", 1)
    assert (Freeze.objects.count(), Delegation.objects.count()) == (0, 0)


@pytest.mark.parametrize("query", ["owner=ana&owner=bob", "page=1&page=2", "page=&page=2", "colour=red"])
def test_a_read_is_refused_what_has_no_one_meaning(as_viewer: APIClient, experiment: Experiment, query: str) -> None:
    answer = as_viewer.get(f"/v4/experiments?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


def test_a_read_takes_the_blank_fields_of_a_form(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get("/v4/experiments?query=&owner=&only_active=&exp_type=&order_by=&autosubmit_version=")
    assert [row["name"] for row in answer.json()["experiments"]] == ["a000"]


def test_two_idempotency_keys_are_refused_and_one_twice_is_one(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(RUN, HTTP_IDEMPOTENCY_KEY="a1,b2")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["Idempotency-Key"])
    assert as_operator.post(RUN, HTTP_IDEMPOTENCY_KEY="a1, a1").status_code == 202
    assert as_operator.post(RUN, HTTP_IDEMPOTENCY_KEY="a1")["Idempotent-Replayed"] == "true"


def test_the_first_of_two_preferences_counts(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(RUN, HTTP_PREFER="wait=0, wait=60")
    assert answer["Preference-Applied"] == "wait=0"
