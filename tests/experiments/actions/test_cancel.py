"""Taking an action back."""

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.cancel import call_off_waiting, cancel_action
from experiments.actions.refusals import Conflict
from experiments.models import Action, State
from tests.support import factories
from tests.support.steps import create_step

pytestmark = pytest.mark.django_db


@pytest.fixture
def action() -> Action:
    return factories.create_action(factories.create_experiment())


def cancel(action: Action, actor: User) -> None:
    cancel_action(action, actor=actor, origin=Origin.make(actor, door=Door.API))


def test_a_queued_action_is_cancelled_by_name(operator: User, action: Action) -> None:
    cancel(action, operator)
    assert (action.state, action.message) == (State.CANCELLED, "Cancelled by operator before it started.")


def test_a_cancelled_action_has_its_audit_entry(operator: User, action: Action) -> None:
    cancel(action, operator)
    assert AuditEntry.objects.get(event="action.cancelled").actor_name == "operator"


def test_a_run_is_not_cancelled_and_the_refusal_is_recorded(operator: User, action: Action) -> None:
    Action.objects.update(state=State.RUNNING)
    action.refresh_from_db()
    with pytest.raises(Conflict, match="Stop the experiment instead"):
        cancel(action, operator)
    assert AuditEntry.objects.filter(event="action.cancel_refused").exists()


def test_a_running_command_is_ended_by_whoever_follows_it(operator: User) -> None:
    running = factories.create_action(factories.create_experiment(), kind="set_status", state=State.RUNNING)
    cancel(running, operator)
    assert (running.state, running.cancelled_by) == (State.RUNNING, "operator")


def test_the_request_to_end_a_command_is_kept_when_the_queue_cannot_be_reached(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("experiments.actions.queue.async_task", unreachable)
    running = factories.create_action(factories.create_experiment(), kind="set_status", state=State.RUNNING)
    cancel(running, operator)
    assert running.cancelled_by == "operator"


def test_the_request_to_end_a_command_is_recorded_once(operator: User) -> None:
    running = factories.create_action(factories.create_experiment(), kind="set_status", state=State.RUNNING)
    cancel(running, operator)
    with pytest.raises(Conflict, match="is being cancelled already"):
        cancel(running, operator)
    assert AuditEntry.objects.filter(event="action.cancel_requested").count() == 1


def test_an_action_that_a_worker_has_just_claimed_is_not_cancelled_under_it(operator: User, action: Action) -> None:
    Action.objects.update(state=State.RUNNING)  # while the operator's page still says queued
    with pytest.raises(Conflict):
        cancel(action, operator)
    action.refresh_from_db()
    assert action.state == State.RUNNING


def test_an_action_that_has_ended_is_not_cancelled(operator: User, action: Action) -> None:
    Action.objects.update(state=State.SUCCEEDED)
    action.refresh_from_db()
    with pytest.raises(Conflict, match="nothing to cancel"):
        cancel(action, operator)


def test_a_viewer_may_not_cancel(viewer: User, action: Action) -> None:
    with pytest.raises(Forbidden):
        cancel(action, viewer)
    action.refresh_from_db()
    assert action.state == State.QUEUED


@pytest.mark.parametrize("state", [State.QUEUED, State.AWAITING_APPROVAL, State.RUNNING])
def test_after_a_restore_all_is_called_off_that_has_no_command_yet(action: Action, state: State) -> None:
    Action.objects.update(state=state)
    assert call_off_waiting("The database was restored.", Origin(Door.COMMAND_LINE)) == [action]
    action.refresh_from_db()
    assert (action.state, action.message) == (State.CANCELLED, "Called off: The database was restored.")


def test_after_a_restore_what_has_a_command_goes_on(action: Action) -> None:
    Action.objects.update(state=State.RUNNING)
    create_step(action)
    assert call_off_waiting("The database was restored.", Origin(Door.COMMAND_LINE)) == []
