"""Old outputs go, those of running actions stay."""

import os
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from autosubmit_portal.agent.host import read_process_start
from experiments import commands
from experiments.actions.finish import keep_outputs
from experiments.actions.prune import keep_ended, prune
from experiments.actions.supervise import supervise
from experiments.models import Action, State, Step
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.steps import create_step, find_directory, locate

pytestmark = pytest.mark.django_db


def with_output(state: State, *, age_days: float = 0, printed: str = "printed") -> Action:
    """Return an action with an output that its host keeps."""
    ended_at = timezone.now() - timedelta(days=age_days)
    action = factories.create_action(factories.create_experiment(), state=state, ended_at=ended_at)
    step = create_step(action, printed=printed)
    (locate(step.key) / "pid").write_text("4711 1")  # it has started, and no process has this pid and that start
    return action


def read(action: Action) -> str:
    return commands.read_text(commands.find_step(action, 0))


def test_the_output_of_what_has_ended_is_stored_and_its_host_forgets_it() -> None:
    action = with_output(State.SUCCEEDED)
    keep_outputs(action)
    assert read(action) == "printed"
    assert not (find_directory(action) / "output").exists()


def test_what_one_worker_has_stored_stays_when_another_was_slow_to_do_the_same() -> None:
    action = with_output(State.SUCCEEDED)
    slow = Step.objects.get()
    keep_outputs(action)
    commands.keep_output(slow)
    assert (read(action), slow.kept_output) == ("printed", b"printed")


def test_what_a_host_that_was_away_keeps_is_stored_later(hosts_here: InProcessHosts) -> None:
    action = with_output(State.SUCCEEDED)
    hosts_here.away[str(action.site.hosts.get())] = "It was switched off."
    keep_outputs(action)
    assert (find_directory(action) / "output").exists()
    hosts_here.away.clear()
    keep_ended(action.site.queue)
    assert (read(action), Step.objects.get().is_forgotten) == ("printed", True)


def test_what_a_killed_worker_has_not_stored_the_next_supervision_stores() -> None:
    action = with_output(State.SUCCEEDED)
    supervise(action.site.queue)
    assert (read(action), Step.objects.get().is_forgotten) == ("printed", True)


def test_a_host_forgets_what_it_never_started() -> None:
    action = factories.create_action(factories.create_experiment(), state=State.FAILED)
    Step.objects.create(action=action, number=0, key=str(uuid.uuid4()), host=action.site.hosts.get())
    keep_outputs(action)
    assert Step.objects.get().is_forgotten


def test_the_output_of_what_was_called_lost_is_stored_when_it_has_ended() -> None:
    action = with_output(State.LOST, printed="begun")
    pid = find_directory(action) / "pid"
    gone = pid.read_text()
    pid.write_text(f"{os.getpid()} {read_process_start(os.getpid())}")
    keep_ended(action.site.queue)
    (find_directory(action) / "output").write_text("begun and ended")
    pid.write_text(gone)
    keep_ended(action.site.queue)
    assert (read(action), Step.objects.get().is_forgotten) == ("begun and ended", True)


def test_the_output_of_what_nobody_sees_stays_at_its_host() -> None:
    action = with_output(State.LOST)
    (find_directory(action) / "pid").write_text("4711 1 another-machine another-boot 1")
    keep_ended(action.site.queue)
    assert (Step.objects.get().output, Step.objects.get().is_forgotten) == (None, False)


def test_an_old_output_is_removed_and_its_action_stays() -> None:
    old = with_output(State.SUCCEEDED, age_days=200)
    keep_outputs(old)
    assert prune() == 1
    assert (read(old), Action.objects.filter(pk=old.pk).exists()) == ("", True)
    assert prune() == 0


def test_the_output_of_a_run_of_months_stays() -> None:
    running = with_output(State.RUNNING, age_days=400)
    keep_ended(running.site.queue)
    prune()
    assert read(running) == "printed"


def test_the_oldest_outputs_go_when_the_room_is_full(settings: Any) -> None:
    older, newer = (with_output(State.FAILED, age_days=days) for days in (2, 1))
    for action in (older, newer):
        keep_outputs(action)
    settings.OUTPUT_GIGABYTES = 1.5 * Step.objects.filter(action=newer).get().output_bytes / 1e9
    prune()
    assert (read(older), read(newer)) == ("", "printed")
