"""What a worker does when it is asked to stop."""

import mmap
import multiprocessing
from typing import Any

import pytest
from django_q.brokers import get_broker
from django_q.signing import SignedPackage

from autosubmit_portal.workers import shutdown_flag
from experiments.actions.execute import claim, watch
from experiments.actions.start import start_step
from experiments.models import Action, State
from tests.support import factories
from tests.support.kinds import ANY_COMMAND


@pytest.fixture(autouse=True)
def _own_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test the flag of a worker of its own."""
    monkeypatch.setattr(shutdown_flag, "_asked", mmap.mmap(-1, 1))


def test_nobody_is_asked_at_first() -> None:
    assert not shutdown_flag.is_asked()


def test_a_process_that_is_forked_off_asks_all_the_others() -> None:
    guard = multiprocessing.get_context("fork").Process(target=shutdown_flag.ask)
    guard.start()
    guard.join(20)
    assert shutdown_flag.is_asked()


@pytest.mark.django_db
def test_a_worker_that_is_being_stopped_leaves_the_looking_to_the_next() -> None:
    experiment = factories.create_experiment(factories.create_site(autosubmit=ANY_COMMAND))
    command = [[ANY_COMMAND, "updatedescrip", "sleep", "2"]]
    action = factories.create_action(experiment, kind="update_description", command=command)
    claimed = claim(action.pk)
    assert claimed
    start_step(claimed, 0)
    shutdown_flag.ask()
    watch(action.pk)
    assert Action.objects.get(pk=action.pk).state == State.RUNNING
    ((_, payload),) = get_broker().dequeue()
    task: Any = SignedPackage.loads(payload)
    assert task["func"] == "experiments.tasks.watch"
