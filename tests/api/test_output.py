"""Reading what an action printed."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Action, Experiment, State
from tests.support import factories
from tests.support.steps import create_step, find_directory

pytestmark = pytest.mark.one_database

TEXT = "Preparing…\nRun successful\n"


@pytest.fixture
def action(experiment: Experiment) -> Action:
    """A running restart whose first step is over and whose second has printed TEXT."""
    command = [["autosubmit", "recovery", "a000"], ["autosubmit", "run", "a000"]]
    made = factories.create_action(experiment, kind="restart", state=State.RUNNING, command=command, step=1)
    for step, text in enumerate(["Recovered\n", TEXT]):
        create_step(made, step, text)
    return made


def part(client: APIClient, action: Action, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/v4/actions/{action.pk}/output", {"format": "json", **query})
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def text(client: APIClient, action: Action, **query: Any) -> str:
    answer = client.get(f"/v4/actions/{action.pk}/output", query)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def test_by_default_it_is_the_whole_text_of_the_current_step(as_viewer: APIClient, action: Action) -> None:
    assert text(as_viewer, action) == TEXT


def test_an_earlier_step_may_be_chosen(as_viewer: APIClient, action: Action) -> None:
    assert text(as_viewer, action, step=0) == "Recovered\n"


def test_secrets_in_it_are_covered_also_in_a_part_of_it(as_viewer: APIClient, action: Action) -> None:
    (find_directory(action, 1) / "output").write_text("fatal: https://ana:hunter2@x.example/ not found\n")
    assert text(as_viewer, action) == "fatal: https://ana:*******@x.example/ not found\n"
    assert text(as_viewer, action, offset=21, limit=4) == "****"
    assert part(as_viewer, action, offset=21)["text"] == "*****@x.example/ not found\n"


def test_a_part_of_the_text_may_be_chosen(as_viewer: APIClient, action: Action) -> None:
    assert text(as_viewer, action, offset=12, limit=4) == "\nRun"
    assert text(as_viewer, action, offset=-11) == "successful\n"


def test_a_long_text_comes_whole(as_viewer: APIClient, action: Action) -> None:
    (find_directory(action, 1) / "output").write_text("x" * 300_000)
    assert len(text(as_viewer, action)) == 300_000


def test_a_part_says_where_it_ends(as_viewer: APIClient, action: Action) -> None:
    size = len(TEXT.encode())
    shown = part(as_viewer, action)
    assert shown == {
        "step": 1,
        "steps": 2,
        "offset": 0,
        "next_offset": size,
        "size": size,
        "text": TEXT,
        "is_over": False,
    }


def test_following_never_splits_a_character(as_viewer: APIClient, action: Action) -> None:
    seen, offset = "", 0
    while offset < len(TEXT.encode()):
        shown = part(as_viewer, action, offset=offset, limit=4)
        assert shown["next_offset"] > offset
        seen, offset = seen + shown["text"], shown["next_offset"]
    assert seen == TEXT


def test_a_character_that_is_half_written_is_waited_for(as_viewer: APIClient, action: Action) -> None:
    (find_directory(action, 1) / "output").write_bytes("é".encode()[:1])
    assert part(as_viewer, action)["text"] == ""
    Action.objects.update(state=State.SUCCEEDED)
    shown = part(as_viewer, action)
    assert (shown["text"], shown["is_over"]) == ("\ufffd", True)


def test_it_is_over_when_the_step_is_over_and_all_is_read(as_viewer: APIClient, action: Action) -> None:
    assert part(as_viewer, action, step=0)["is_over"]
    assert not part(as_viewer, action, step=0, limit=4)["is_over"]
    assert not part(as_viewer, action)["is_over"]


def test_the_accept_header_chooses_json_too(as_viewer: APIClient, action: Action) -> None:
    answer = as_viewer.get(f"/v4/actions/{action.pk}/output", HTTP_ACCEPT="application/json")
    assert answer.json()["text"] == TEXT


def test_an_action_that_has_not_started_printed_nothing(as_viewer: APIClient, experiment: Experiment) -> None:
    queued = factories.create_action(experiment, command=[["autosubmit", "run", "a000"]])
    assert text(as_viewer, queued) == ""
    shown = part(as_viewer, queued)
    assert (shown["size"], shown["is_over"]) == (0, False)


@pytest.mark.parametrize(
    ("query", "field"), [("step=2", "step"), ("step=-1", "step"), ("offset=x", "offset"), ("limit=0", "limit")]
)
def test_a_wrong_parameter_is_named(as_viewer: APIClient, action: Action, query: str, field: str) -> None:
    answer = as_viewer.get(f"/v4/actions/{action.pk}/output?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert list(answer.json()["errors"]) == [field]
