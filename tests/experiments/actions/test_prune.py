"""Old outputs go, those of running actions stay."""

import os
from typing import Any

import pytest

from experiments.actions.prune import prune
from experiments.models import Action, State
from tests.support import factories

pytestmark = pytest.mark.django_db

DAY = 86_400


def with_output(state: State, *, age_days: float = 0, size: int = 10) -> Action:
    """Return an action with an output of its own."""
    action = factories.create_action(factories.create_experiment(), state=state)
    directory = action.run_directory(0)
    directory.mkdir(parents=True)
    (directory / "output").write_bytes(b"x" * size)
    changed = action.directory.stat().st_mtime - age_days * DAY
    os.utime(action.directory, (changed, changed))
    return action


def test_an_old_output_is_removed_and_its_action_stays() -> None:
    old = with_output(State.SUCCEEDED, age_days=200)
    assert prune() == 1
    assert not old.directory.exists()
    assert Action.objects.filter(pk=old.pk).exists()


def test_the_output_of_a_run_of_months_stays() -> None:
    running = with_output(State.RUNNING, age_days=400)
    prune()
    assert running.directory.exists()


def test_the_oldest_outputs_go_when_the_room_is_full(settings: Any) -> None:
    settings.OUTPUT_GIGABYTES = 150 / 1e9
    older, newer = (with_output(State.FAILED, age_days=days, size=100) for days in (2, 1))
    prune()
    assert (older.directory.exists(), newer.directory.exists()) == (False, True)
