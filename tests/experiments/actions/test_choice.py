"""The jobs that a filter means, by name in the command."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.preview import preview_action
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Experiment, State
from jobs.models import Job
from tests.support import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def experiment(db: None) -> Experiment:
    """Monthly chunks whose transfers have two splits, one and two; the simulations have none."""
    made = factories.create_experiment(expid="a000")
    for chunk, splits in ((1, 2), (2, 1), (3, 2)):
        place: dict[str, Any] = {"date": NOON, "member": "fc-0", "chunk": chunk}
        factories.create_job(made, f"a000_SIM_{chunk}", section="SIM", **place)
        for split in range(1, splits + 1):
            name = f"a000_{chunk}_{split}_TRANSFER.A"
            factories.create_job(made, name, section="TRANSFER.A", split=split, splits=splits, **place)
    return made


@pytest.fixture
def ask(experiment: Experiment, operator: User) -> Callable[..., ActionRequest]:
    """Make requests of an operator to set SUSPENDED."""

    def request(**parameters: Any) -> ActionRequest:
        return ActionRequest(
            actor=operator,
            origin=Origin(door=Door.API, actor_name=operator.username, actor_id=operator.pk),
            kind=CATALOGUE["set_status"],
            site=experiment.site,
            experiment=experiment,
            parameters={"status": "SUSPENDED"} | parameters,
        )

    return request


def named(request: ActionRequest) -> list[str]:
    (command,) = preview_action(request).commands
    (names,) = [word.removeprefix("--list=") for word in command if word.startswith("--list=")]
    assert not any(word.startswith("--filter") for word in command)
    return names.split(" ")


@pytest.mark.parametrize(
    ("choice", "number"),
    [
        ({"filter_section": ["SIM"]}, 3),
        ({"filter_section": ["transfer.a"]}, 5),
        ({"filter_section": ["Any"]}, 8),
        ({"filter_status": ["WAITING"]}, 8),
        ({"filter_section": ["SIM"], "filter_chunks": "[ 2000010112 [ fc-0 [1-2] ] ]"}, 2),
        ({"filter_chunks": "[ 2000010112 [ fc-0 [1] ] ]"}, 3),
    ],
    ids=str,
)
def test_the_command_names_the_jobs_of_the_preview(
    ask: Callable[..., ActionRequest], choice: dict[str, Any], number: int
) -> None:
    effect = preview_action(ask(**choice)).effect
    assert effect is not None
    assert [change.job for change in effect.changes] == named(ask(**choice))
    assert len(effect.changes) == number


def test_the_action_keeps_what_was_asked_for(ask: Callable[..., ActionRequest]) -> None:
    foretold = preview_action(ask(filter_section=["SIM"])).commands
    action = request_action(ask(filter_section=["SIM"]))
    assert action.parameters == {"status": "SUSPENDED", "filter_section": ["SIM"]}
    assert action.command == foretold


def test_a_filter_that_means_no_job_is_refused_and_says_which(ask: Callable[..., ActionRequest]) -> None:
    with pytest.raises(InvalidParameters, match=r"^filter_status: no job is FAILED\.$"):
        request_action(ask(filter_status=["FAILED"]))


def test_filters_that_mean_no_job_together_are_refused_and_named(
    experiment: Experiment, ask: Callable[..., ActionRequest]
) -> None:
    factories.create_job(experiment, "a000_ONE", section="ONE")
    with pytest.raises(InvalidParameters, match=r"by these together: filter_section, filter_member\."):
        request_action(ask(filter_section=["ONE"], filter_member=["fc-0"]))


def test_each_filter_that_means_no_job_says_so(ask: Callable[..., ActionRequest]) -> None:
    with pytest.raises(InvalidParameters, match=r"^filter_member: no job is of member FC9\.$"):
        request_action(ask(filter_section=["SIM"], filter_member=["fc9"]))


def test_jobs_that_have_changed_since_are_not_changed(
    ask: Callable[..., ActionRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    action = request_action(ask(filter_status=["WAITING"]))
    changed = Job.objects.filter(name="a000_SIM_1")
    monkeypatch.setattr("experiments.mirror.sync.adopt", lambda *_: changed.update(status="COMPLETED"))
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, action.exit_status) == (State.FAILED, None)
    assert "other jobs by now" in action.message


def test_a_name_that_autosubmit_would_take_for_two_is_refused(
    experiment: Experiment, ask: Callable[..., ActionRequest]
) -> None:
    factories.create_job(experiment, "a000_SIM Any", section="ODD")
    with pytest.raises(InvalidParameters, match="a000_SIM Any"):
        preview_action(ask(filter_section=["ODD"]))


def test_a_filter_is_refused_while_the_job_list_cannot_be_read(
    experiment: Experiment, ask: Callable[..., ActionRequest]
) -> None:
    experiment.problem = "The job list cannot be read."
    experiment.save()
    with pytest.raises(Conflict, match="is not known now"):
        preview_action(ask(filter_section=["SIM"]))
    effect = preview_action(ask(jobs=["a000_SIM_1"])).effect
    assert effect is not None
    assert "out of date" in effect.warnings[0]
