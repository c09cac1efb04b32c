"""Ending commands that are not runs: cancelled, or too slow. The processes are real, Autosubmit is not needed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from autosubmit_portal.agent import run_directory
from experiments import commands
from experiments.actions.execute import claim
from experiments.actions.follow import follow
from experiments.actions.start import start_step
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, State
from tests.support import factories
from tests.support.kinds import ANY_COMMAND
from tests.support.services import children_of
from tests.support.steps import find_directory
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def _no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no store behind the experiments of factories."""
    monkeypatch.setattr("experiments.mirror.sync.adopt", lambda site, expid: None)


def make_action(*argv: str, kind: str = "update_description") -> Action:
    """Return an action whose command is this one."""
    experiment = factories.create_experiment(factories.create_site(autosubmit=ANY_COMMAND))
    word = CATALOGUE[kind].first_words[0]
    return factories.create_action(experiment, kind=kind, command=[[ANY_COMMAND, word, *argv]])


def started(*argv: str, kind: str = "update_description") -> Action:
    """Return an action whose command runs."""
    action = make_action(*argv, kind=kind)
    claimed = claim(action.pk)
    assert claimed is not None
    start_step(claimed, 0)
    wait_for(lambda: has_begun(action))
    return claimed


def has_begun(action: Action) -> bool:
    """Answer whether the launcher has come to the command: before, a signal to end is not one to the command."""
    pid = find_directory(action) / "pid"
    if not pid.exists():
        return False
    is_over = (pid.parent / "exit_status").exists()
    return is_over or action.command[0][2] in children_of(int(pid.read_text().split()[0]))


def followed(action: Action) -> Action:
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    return action


def test_a_cancelled_command_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    action = started("sleep", "60")
    Action.objects.update(cancel_requested_at=timezone.now(), cancelled_by="operator")
    followed(action)
    assert (action.state, action.message) == (State.CANCELLED, "Cancelled by operator while it ran.")


def test_a_command_that_takes_too_long_is_ended_and_says_what_to_do() -> None:
    action = started("sleep", "60", kind="stop")
    Action.objects.update(step_started_at=timezone.now() - timedelta(hours=1))
    followed(action)
    assert action.state == State.FAILED
    assert action.message == ("Ended because it took more than 5 min. The run goes on. Stop it with force to kill it.")


def test_a_command_that_ignores_the_polite_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "PATIENCE_SECONDS", 0.2)
    action = started("python3", "-c", STUBBORN)
    wait_for(lambda: "up" in (find_directory(action) / "output").read_text())
    Action.objects.update(cancel_requested_at=timezone.now(), cancelled_by="operator")
    followed(action)
    assert action.state == State.CANCELLED


def test_a_run_is_never_ended_however_long_it_takes() -> None:
    action = started("sleep", "60", kind="run")
    Action.objects.update(step_started_at=timezone.now() - timedelta(days=200), cancel_requested_at=timezone.now())
    assert not follow(action)
    assert not (find_directory(action) / "ending").exists()
    step = commands.find_step(action, 0)
    assert step
    commands.end(step)


def test_a_cancelled_action_does_not_start_its_next_step() -> None:
    action = started("true", kind="restart")
    Action.objects.update(
        command=[[ANY_COMMAND, "recovery", "true"], [ANY_COMMAND, "run", "touch", "never"]],
        cancel_requested_at=timezone.now(),
        cancelled_by="operator",
    )
    action.refresh_from_db()
    followed(action)
    assert (action.state, action.step) == (State.CANCELLED, 0)


def test_an_action_that_is_cancelled_between_claim_and_start_is_cancelled_and_never_started() -> None:
    action = make_action("true")
    claimed = claim(action.pk)
    assert claimed
    Action.objects.update(cancel_requested_at=timezone.now(), cancelled_by="operator")
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, action.message) == (State.CANCELLED, "Cancelled by operator before it started.")
    start_step(claimed, 0)
    assert not action.steps.exists()


def test_a_command_that_was_lost_is_not_started_by_a_worker_that_was_only_slow() -> None:
    action = make_action("true")
    claimed = claim(action.pk)
    assert claimed
    long_ago = timezone.now() - timedelta(hours=1)
    Action.objects.update(state=State.RUNNING, started_at=long_ago, step_started_at=long_ago)
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, action.message.partition(".")[0]) == (State.LOST, "The command never started")
    start_step(claimed, 0)
    assert not action.steps.exists()
