"""Reading and cancelling actions."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, State
from tests.support import factories


@pytest.fixture
def actions(experiment: Experiment) -> list[Action]:
    """A finished run, a failed one, and one that is queued."""
    return [
        factories.create_action(experiment, state=State.SUCCEEDED),
        factories.create_action(experiment, state=State.FAILED, kind="generate", actor_name="ben"),
        factories.create_action(experiment),
    ]


def found(client: APIClient, **query: Any) -> list[int]:
    answer = client.get("/v4/actions", query)
    assert answer.status_code == 200, answer.data
    return [action["id"] for action in answer.json()["results"]]


def test_actions_come_newest_first(as_viewer: APIClient, actions: list[Action]) -> None:
    assert found(as_viewer) == [action.pk for action in reversed(actions)]


@pytest.mark.parametrize(
    ("query", "indices"),
    [
        ({"kind": "generate"}, [1]),
        ({"state": "succeeded"}, [0]),
        ({"active": "true"}, [2]),
        ({"active": "false"}, [1, 0]),
        ({"actor": "ben"}, [1]),
        ({"expid": "a000"}, [2, 1, 0]),
        ({"expid": "a001"}, []),
        ({"site": "local"}, [2, 1, 0]),
        ({"site": "other"}, []),
    ],
    ids=str,
)
def test_actions_are_filtered(
    as_viewer: APIClient, actions: list[Action], query: dict[str, str], indices: list[int]
) -> None:
    assert found(as_viewer, **query) == [actions[index].pk for index in indices]


def test_pages_lead_to_each_other(as_viewer: APIClient, actions: list[Action]) -> None:
    first = as_viewer.get("/v4/actions?page_size=2").json()
    second = as_viewer.get(first["next"]).json()
    assert [action["id"] for action in second["results"]] == [actions[0].pk]
    assert (first["previous"], second["next"]) == (None, None)
    assert as_viewer.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=fly", "kind"),
        ("state=asleep", "state"),
        ("active=maybe", "active"),
        ("page_size=501", "page_size"),
        ("cursor=x", "cursor"),
        ("cursor=cD1hYmM=", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(as_viewer: APIClient, actions: list[Action], query: str, field: str) -> None:
    answer = as_viewer.get(f"/v4/actions?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_a_cursor_beyond_all_numbers_is_no_error(as_viewer: APIClient, actions: list[Action]) -> None:
    answer = as_viewer.get("/v4/actions?cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5")
    assert answer.status_code in (200, 400)


def test_an_action_is_shown_whole(as_viewer: APIClient, experiment: Experiment) -> None:
    action = factories.create_action(experiment, command=[["autosubmit", "run", "a000"]], reason="why")
    shown = as_viewer.get(f"/v4/actions/{action.pk}").json()
    assert (shown["kind"], shown["site"], shown["expid"], shown["actor"]) == ("run", "local", "a000", "somebody")
    assert shown["command"] == [["autosubmit", "run", "a000"]]
    assert shown["output_url"] == f"/v4/actions/{action.pk}/output"


@pytest.mark.parametrize("number", ["0", "999999", "99999999999999999999"])
def test_an_unknown_action_is_not_found(as_viewer: APIClient, experiment: Experiment, number: str) -> None:
    for path in ("", "/output"):
        assert as_viewer.get(f"/v4/actions/{number}{path}").status_code == 404


def test_a_queued_action_is_cancelled(as_operator: APIClient, actions: list[Action]) -> None:
    answer = as_operator.post(f"/v4/actions/{actions[2].pk}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    entry = AuditEntry.objects.get(event="action.cancelled")
    assert (entry.actor_name, entry.door) == ("operator", "api")


def test_an_ended_action_cannot_be_cancelled(as_operator: APIClient, actions: list[Action]) -> None:
    answer = as_operator.post(f"/v4/actions/{actions[0].pk}/cancel")
    assert (answer.status_code, answer.json()["action_id"]) == (409, actions[0].pk)


def test_who_may_not_request_a_kind_may_not_cancel_it(as_viewer: APIClient, actions: list[Action]) -> None:
    answer = as_viewer.post(f"/v4/actions/{actions[2].pk}/cancel")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.request_run")


def test_who_may_not_look_is_told_what_is_missing(api: Callable[..., APIClient], actions: list[Action]) -> None:
    client = api(factories.create_user())
    for path in ("", f"/{actions[0].pk}", f"/{actions[0].pk}/output"):
        answer = client.get(f"/v4/actions{path}")
        assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.view_action")
