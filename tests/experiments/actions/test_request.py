"""The one door: what it queues, what it refuses, and that it answers for both."""

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.preview import preview_action
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, Site, State
from tests.support import factories
from tests.support.kinds import commands_of

pytestmark = pytest.mark.django_db


def asked(actor: User, kind: str, experiment: Experiment, **parameters: Any) -> ActionRequest:
    return ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API, address="192.0.2.7"),
        kind=CATALOGUE[kind],
        site=experiment.site,
        experiment=experiment,
        parameters=parameters,
    )


@pytest.fixture
def ready() -> Experiment:
    """An experiment with a job list, not running."""
    experiment = factories.create_experiment(expid="a000")
    factories.create_job(experiment, "a000_SIM", status="FAILED")
    return experiment


def test_an_operator_queues_a_run(operator: User, ready: Experiment) -> None:
    action = request_action(asked(operator, "run", ready))
    assert (action.state, action.command) == (State.QUEUED, [[ready.site.autosubmit, "run", "a000"]])


def test_a_queued_action_has_its_audit_entry(operator: User, ready: Experiment) -> None:
    action = request_action(asked(operator, "run", ready))
    entry = AuditEntry.objects.get(event="action.requested")
    assert (entry.action_id, entry.actor_name, entry.address, entry.expid) == (
        action.pk,
        operator.username,
        "192.0.2.7",
        "a000",
    )


def test_a_viewer_is_refused_and_told_the_missing_permission(viewer: User, ready: Experiment) -> None:
    with pytest.raises(Forbidden, match=r"experiments\.request_run"):
        request_action(asked(viewer, "run", ready))


def test_a_refusal_has_its_audit_entry(viewer: User, ready: Experiment) -> None:
    with pytest.raises(Forbidden):
        request_action(asked(viewer, "run", ready))
    assert AuditEntry.objects.get(event="action.refused").kind == "run"


def test_nothing_is_queued_when_the_audit_entry_cannot_be_written(
    operator: User, ready: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr("experiments.actions.batches.trail.record_all", broken)
    with pytest.raises(RuntimeError):
        request_action(asked(operator, "run", ready))
    assert not Action.objects.exists()


def test_a_second_action_is_refused_with_the_id_of_the_first(operator: User, ready: Experiment) -> None:
    first = request_action(asked(operator, "run", ready))
    with pytest.raises(Conflict) as refusal:
        request_action(asked(operator, "restart", ready))
    assert refusal.value.action_id == first.pk


def test_the_description_is_changed_beside_a_run(operator: User, ready: Experiment) -> None:
    factories.create_action(ready, kind="run", state=State.RUNNING)
    Experiment.objects.filter(pk=ready.pk).update(is_running=True)
    action = request_action(asked(operator, "update_description", ready, description="Half way"))
    assert action.state == State.QUEUED


def test_the_database_refuses_a_second_active_action(ready: Experiment) -> None:
    factories.create_action(ready, kind="run", state=State.RUNNING)
    with pytest.raises(IntegrityError):
        factories.create_action(ready, kind="restart", state=State.QUEUED)


def test_a_running_experiment_is_not_started_again(operator: User, ready: Experiment) -> None:
    Experiment.objects.filter(pk=ready.pk).update(is_running=True, evidence="process 42 holds the lock")
    with pytest.raises(Conflict, match="process 42 holds the lock"):
        request_action(asked(operator, "run", ready))


@pytest.mark.parametrize("kind", ["restart", "generate", "set_status"])
def test_a_running_experiments_job_list_is_not_touched(kind: str, manager: User, ready: Experiment) -> None:
    Experiment.objects.filter(pk=ready.pk).update(is_running=True)
    parameters = {"status": "READY", "jobs": ["a000_SIM"]} if kind == "set_status" else {}
    with pytest.raises(Conflict, match="Stop it first"):
        request_action(asked(manager, kind, ready, **parameters))


def test_what_does_not_run_cannot_be_stopped(operator: User, ready: Experiment) -> None:
    with pytest.raises(Conflict, match="not running"):
        request_action(asked(operator, "stop", ready))


def test_a_run_that_is_just_starting_can_be_stopped(operator: User, ready: Experiment) -> None:
    factories.create_action(ready, kind="run", state=State.RUNNING)
    assert request_action(asked(operator, "stop", ready)).state == State.QUEUED


def test_two_stops_make_one_action(operator: User, ready: Experiment) -> None:
    Experiment.objects.filter(pk=ready.pk).update(is_running=True)
    first = request_action(asked(operator, "stop", ready))
    with pytest.raises(Conflict) as refusal:
        request_action(asked(operator, "stop", ready))
    assert refusal.value.action_id == first.pk


def test_an_experiment_without_jobs_is_not_started(operator: User) -> None:
    with pytest.raises(Conflict, match="Generate it first"):
        request_action(asked(operator, "run", factories.create_experiment()))


def test_an_unhealthy_site_refuses_with_its_reason(operator: User, ready: Experiment) -> None:
    Site.objects.update(problem="The Autosubmit program is missing.")
    ready.site.refresh_from_db()
    with pytest.raises(Conflict, match="program is missing"):
        request_action(asked(operator, "run", ready))


def test_a_kind_that_is_switched_off_is_refused(operator: User, ready: Experiment) -> None:
    ready.site.disabled_kinds = ["run"]
    with pytest.raises(Conflict, match="switched off"):
        request_action(asked(operator, "run", ready))


def test_an_unknown_job_is_named(operator: User, ready: Experiment) -> None:
    with pytest.raises(InvalidParameters, match="a000_NOPE"):
        request_action(asked(operator, "set_status", ready, status="READY", jobs=["a000_NOPE"]))


def test_an_illegal_status_is_answered_with_the_legal_ones(operator: User, ready: Experiment) -> None:
    with pytest.raises(InvalidParameters, match="READY, COMPLETED, WAITING, SUSPENDED, UNKNOWN, HELD"):
        request_action(asked(operator, "set_status", ready, status="FAILED", jobs=["a000_SIM"]))


def test_an_unknown_parameter_is_named(operator: User, ready: Experiment) -> None:
    with pytest.raises(InvalidParameters, match="speed"):
        request_action(asked(operator, "run", ready, speed="fast"))


def test_jobs_are_chosen_by_name_or_by_filters(operator: User, ready: Experiment) -> None:
    parameters = {"status": "READY", "jobs": ["a000_SIM"], "filter_status": ["FAILED"]}
    with pytest.raises(InvalidParameters, match="either by name or by filters"):
        request_action(asked(operator, "set_status", ready, **parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        {"git_repo": "https://example.org/x.git;touch f"},
        {"git_repo": "ext::sh -c touch%20f"},
        {"git_repo": "https://ana@example.org/x.git"},
        {"git_branch": "x; touch f"},
        {"git_branch": "../up"},
        {"git_as_conf": "/etc"},
        {"hpc": "local`id`"},
        {"copy": "a000;id"},
    ],
    ids=str,
)
def test_what_autosubmit_would_hand_to_a_shell_is_refused(
    parameters: dict[str, str], manager: User, ready: Experiment
) -> None:
    request = ActionRequest(
        actor=manager,
        origin=Origin.make(manager, door=Door.API),
        kind=CATALOGUE["create"],
        site=ready.site,
        parameters={"description": "x", "minimal_configuration": True} | parameters,
    )
    with pytest.raises(InvalidParameters, match=next(iter(parameters))):
        request_action(request)


SECRET = "https://ana:hunter2@example.org/x.git"


@pytest.mark.parametrize("name", ["git_repo", "description"])
def test_a_password_in_an_address_is_refused_and_not_recorded(name: str, manager: User, ready: Experiment) -> None:
    parameters = {"description": "x", "minimal_configuration": True, name: SECRET}
    creation = replace(asked(manager, "create", ready, **parameters), experiment=None)
    with pytest.raises(InvalidParameters, match=f"{name}.*password"):
        request_action(creation)
    entry = AuditEntry.objects.get(event="action.refused")
    assert "hunter2" not in f"{entry.details}{entry.message}"
    assert entry.details["parameters"][name] == "https://ana:********@example.org/x.git"


def test_a_password_in_a_reason_is_refused(operator: User, ready: Experiment) -> None:
    with pytest.raises(InvalidParameters, match="reason"):
        request_action(replace(asked(operator, "run", ready), reason=f"see {SECRET}"))


def test_what_looks_like_a_secret_arrives_as_typed_and_is_hidden_in_the_trail(
    operator: User, ready: Experiment
) -> None:
    action = request_action(asked(operator, "update_description", ready, description="with TOKEN=hunter2"))
    entry = AuditEntry.objects.get(event="action.requested")
    assert action.command[0][-1] == "with TOKEN=hunter2"
    assert "hunter2" not in str(entry.details)


@pytest.mark.parametrize("text", ["", "  ", "nul\x00", "x" * 10_241])
def test_a_description_that_cannot_arrive_as_typed_is_refused(text: str, operator: User, ready: Experiment) -> None:
    with pytest.raises(InvalidParameters, match="description"):
        request_action(asked(operator, "update_description", ready, description=text))


def test_a_preview_changes_nothing(operator: User, ready: Experiment) -> None:
    commands = preview_action(asked(operator, "restart", ready)).commands
    assert [argv[1] for argv in commands] == ["recovery", "run"]
    assert not Action.objects.exists()
    assert not AuditEntry.objects.filter(event__startswith="action").exists()


def test_five_thousand_long_names_become_several_commands(operator: User, ready: Experiment) -> None:
    names = [f"a000_20000101_fc0_{number:05d}_SIMULATION" for number in range(5000)]
    commands = commands_of(CATALOGUE["set_status"], "a000", {"status": "READY", "jobs": names})
    given = [name for argv in commands for name in argv[-1].removeprefix("--list=").split()]
    assert given == names
    assert all(len(argv[-1].encode()) < 131_071 for argv in commands)
