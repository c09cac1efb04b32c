"""What workers do with commands, seen on a stand-in for Autosubmit: real processes, run directories and locks.

Each command that starts stands in a ledger that the portal does not know.
"""

import math
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import DjangoCaptureOnCommitCallbacks

from autosubmit_portal.audit.models import AuditEntry
from experiments import commands, own_gateway
from experiments.actions.execute import claim, execute
from experiments.actions.follow import GRACE, LOST_AFTER, follow
from experiments.actions.start import start_step
from experiments.actions.supervise import supervise
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State, Step
from tests.support import factories
from tests.support.services import kill_processes_of
from tests.support.stand_in import StandIn
from tests.support.steps import find_directory
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[StandIn, str]:
    """A stand-in with an experiment, to be copied."""
    folder = tmp_path_factory.mktemp("stand-in")
    stand_in = StandIn.install(folder)
    return stand_in, stand_in.make_experiment()


@pytest.fixture
def stand_in(made: tuple[StandIn, str], tmp_path: Path) -> Iterator[StandIn]:
    copy = made[0].copy(tmp_path / "home")
    yield copy
    kill_processes_of(copy.home)


@pytest.fixture
def site(stand_in: StandIn) -> Site:
    return factories.create_site(autosubmit=str(stand_in.program), home=str(stand_in.home))


@pytest.fixture
def experiment(site: Site, made: tuple[StandIn, str]) -> Experiment:
    """The experiment, which has a job list, mirrored."""
    experiment = sync.adopt(site, made[1])
    assert experiment is not None
    return experiment


@pytest.fixture
def leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker that has started a run leave it to the supervisor without looking on."""
    monkeypatch.setattr("experiments.actions.execute.LONG_COMMAND_SECONDS", 0.0)


def queued(experiment: Experiment, kind: str, **parameters: Any) -> Action:
    command = CATALOGUE[kind].make_command_lines(experiment.site.autosubmit, experiment.expid, parameters)
    return factories.create_action(experiment, kind=kind, parameters=parameters, command=command)


def executed(action: Action) -> Action:
    execute(action.pk)
    action.refresh_from_db()
    return action


def started(action: Action) -> Action:
    """Start its first command as a worker does that then dies."""
    claimed = claim(action.pk)
    assert claimed is not None
    start_step(claimed, 0)
    return claimed


def followed(action: Action) -> Action:
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    return action


def counts(experiment: Experiment) -> dict[str, int]:
    experiment.refresh_from_db()
    return dict(experiment.status_counts)


# --- From the queue to the end


def test_a_worker_runs_an_experiment_and_mirrors_how_it_ended(experiment: Experiment, stand_in: StandIn) -> None:
    action = executed(queued(experiment, "run"))
    assert (action.state, action.exit_status, stand_in.started()) == (State.SUCCEEDED, 0, ["run"])
    assert counts(experiment) == {"COMPLETED": 3}


def test_a_worker_hears_of_the_end_of_a_command_without_looking_again_and_again(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.actions.execute.LOOK_AGAIN_SECONDS", math.inf)  # which nothing can wait for
    assert executed(queued(experiment, "generate")).state == State.SUCCEEDED


def test_a_worker_mirrors_the_jobs_that_a_command_has_changed(experiment: Experiment) -> None:
    job = f"{experiment.expid}_SIM"
    action = executed(queued(experiment, "set_status", status="SUSPENDED", jobs=[job]))
    assert (action.state, action.job_changes) == (State.SUCCEEDED, [[job, "SUSPENDED"]])
    assert experiment.jobs.get(name=job).status == "SUSPENDED"


def test_a_worker_mirrors_the_experiment_that_was_created(site: Site) -> None:
    words = CATALOGUE["create"].make_command_lines(site.autosubmit, "", {"description": "Made by a worker"})
    action = executed(
        Action.objects.create(
            kind="create", site=site, actor=factories.create_administrator(), actor_name="somebody", command=words
        )
    )
    assert action.experiment is not None
    assert (action.state, action.experiment.description) == (State.SUCCEEDED, "Made by a worker")


def test_a_restart_recovers_and_then_runs(experiment: Experiment, stand_in: StandIn) -> None:
    action = executed(queued(experiment, "restart"))
    assert (action.state, action.step, stand_in.started()) == (State.SUCCEEDED, 1, ["recovery", "run"])


def test_a_restart_does_not_run_what_could_not_be_recovered(experiment: Experiment, stand_in: StandIn) -> None:
    stand_in.let_fail("recovery")
    action = executed(queued(experiment, "restart"))
    assert (action.state, action.exit_status, stand_in.started()) == (State.FAILED, 1, ["recovery"])


def test_jobs_are_reset_and_then_run(experiment: Experiment, stand_in: StandIn) -> None:
    job = f"{experiment.expid}_SIM"
    action = executed(queued(experiment, "reset_and_start", jobs=[job]))
    assert (action.state, stand_in.started()) == (State.SUCCEEDED, ["setstatus", "run"])
    assert (action.job_changes, counts(experiment)) == ([[job, "READY"]], {"COMPLETED": 3})


def test_nothing_runs_whose_jobs_could_not_be_reset(experiment: Experiment, stand_in: StandIn) -> None:
    stand_in.let_fail("setstatus")
    action = executed(queued(experiment, "reset_and_start", jobs=[f"{experiment.expid}_SIM"]))
    assert (action.state, stand_in.started()) == (State.FAILED, ["setstatus"])


def test_a_task_that_is_delivered_twice_starts_one_command(experiment: Experiment, stand_in: StandIn) -> None:
    action = executed(queued(experiment, "generate"))
    execute(action.pk)
    assert stand_in.started() == ["create"]


def test_each_step_on_the_way_of_an_action_has_its_audit_entry(experiment: Experiment) -> None:
    action = executed(queued(experiment, "generate"))
    events = AuditEntry.objects.filter(action_id=action.pk).order_by("pk").values_list("event", flat=True)
    assert list(events) == ["action.running", "action.command_started", "action.succeeded"]


def test_a_run_that_its_worker_has_left_goes_on_and_a_stop_closes_it(
    experiment: Experiment, stand_in: StandIn, leaves_at_once: None
) -> None:
    stand_in.hold("run")
    run = executed(queued(experiment, "run"))
    wait_for(lambda: mirrored_as_running(experiment))
    stop = executed(queued(experiment, "stop"))
    run.refresh_from_db()
    assert (stop.state, run.state, run.exit_status) == (State.SUCCEEDED, State.CANCELLED, 88)
    assert not mirrored_as_running(experiment)


def mirrored_as_running(experiment: Experiment) -> bool:
    sync.refresh(experiment)
    experiment.refresh_from_db()
    return experiment.is_running


@pytest.fixture
def run(experiment: Experiment, stand_in: StandIn) -> Iterator["subprocess.Popen[bytes]"]:
    """A run of the experiment that somebody has started from a terminal, held and mirrored."""
    stand_in.hold("run")
    with stand_in.at_terminal("run", experiment.expid) as process:
        wait_for(lambda: mirrored_as_running(experiment))
        yield process


def queued_change(experiment: Experiment) -> Action:
    """Have the run suspend SIM."""
    return queued(experiment, "set_status_live", status="SUSPENDED", jobs=[f"{experiment.expid}_SIM"])


def test_a_run_takes_the_changes_that_it_was_given_and_goes_on(
    experiment: Experiment, run: "subprocess.Popen[bytes]"
) -> None:
    action = executed(queued_change(experiment))
    job = f"{experiment.expid}_SIM"
    assert (action.state, action.job_changes) == (State.SUCCEEDED, [[job, "SUSPENDED"]]), action.message
    assert experiment.jobs.get(name=job).status == "SUSPENDED"
    assert mirrored_as_running(experiment)


def test_a_change_that_its_run_does_not_live_to_read_is_taken_back(
    experiment: Experiment, run: "subprocess.Popen[bytes]", stand_in: StandIn
) -> None:
    run.send_signal(signal.SIGSTOP)  # it holds its lock and reads nothing
    action = started(queued_change(experiment))
    changes = stand_in.changes_of(experiment.expid)
    wait_for(changes.exists)
    assert not follow(action)
    run.kill()
    wait_for(lambda: not mirrored_as_running(experiment))
    followed(action)
    assert (action.state, changes.exists()) == (State.FAILED, False)
    assert "It was taken back" in action.message


# --- What is asked again before a command starts


@pytest.mark.parametrize("kind", ["run", "restart", "generate", "set_status"])
def test_a_command_does_not_start_when_a_run_has_started_since_it_was_asked_for(
    kind: str, experiment: Experiment, run: "subprocess.Popen[bytes]", stand_in: StandIn
) -> None:
    parameters = {"status": "READY", "jobs": [f"{experiment.expid}_SIM"]} if kind == "set_status" else {}
    action = queued(experiment, kind, **parameters)
    Experiment.objects.update(is_running=False)  # as it was when the action was asked for
    executed(action)
    assert (action.state, stand_in.started()) == (State.FAILED, [])
    assert "is running" in action.message


def test_a_run_does_not_start_when_its_job_list_has_gone(experiment: Experiment, stand_in: StandIn) -> None:
    action = queued(experiment, "run")
    stand_in.job_list(experiment.expid).unlink()
    executed(action)
    assert (action.state, stand_in.started()) == (State.FAILED, [])
    assert "no job list" in action.message


@pytest.mark.parametrize("kind", ["run", "stop", "generate"])
@pytest.mark.parametrize("end", ["delete", "replace"])
def test_nothing_is_done_to_an_experiment_that_is_gone_or_to_another_that_has_its_name(
    end: str, kind: str, experiment: Experiment, stand_in: StandIn
) -> None:
    action = queued(experiment, kind)
    getattr(stand_in, f"{end}_experiment")(experiment.expid)
    executed(action)
    assert (action.state, stand_in.started()) == (State.FAILED, [])
    assert "gone from the store" in action.message


@pytest.mark.parametrize("end", ["delete", "replace"])
def test_a_restart_does_not_run_an_experiment_that_went_while_it_recovered(
    end: str, experiment: Experiment, stand_in: StandIn
) -> None:
    stand_in.hold("recovery")
    action = started(queued(experiment, "restart"))
    getattr(stand_in, f"{end}_experiment")(experiment.expid)
    stand_in.release()
    followed(action)
    assert (action.state, stand_in.started()) == (State.CANCELLED, ["recovery"])
    assert "gone from the store" in action.message


# --- Taking back


def test_what_is_cancelled_between_the_look_at_it_and_its_start_does_not_start(
    experiment: Experiment, stand_in: StandIn
) -> None:
    claimed = claim(queued(experiment, "generate").pk)
    assert claimed is not None
    cancel(claimed)
    start_step(claimed, 0)  # by a worker that has read the row before
    followed(claimed)
    assert (claimed.state, stand_in.started()) == (State.CANCELLED, [])


def test_a_restart_that_is_cancelled_while_it_recovers_does_not_run(experiment: Experiment, stand_in: StandIn) -> None:
    action = started(queued(experiment, "restart"))
    wait_for((find_directory(action) / "exit_status").exists)
    cancel(action)
    followed(action)
    assert (action.state, stand_in.started()) == (State.CANCELLED, ["recovery"])


def test_a_restart_that_is_cancelled_after_the_look_at_its_recovery_does_not_run(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action = started(queued(experiment, "restart"))
    wait_for((find_directory(action) / "exit_status").exists)
    cancel(action)
    start_step(action, 1)  # by a worker that has looked before
    action.refresh_from_db()
    assert (action.step, stand_in.started()) == (0, ["recovery"])


def test_a_command_that_is_cancelled_while_it_works_is_ended(experiment: Experiment, stand_in: StandIn) -> None:
    stand_in.hold("create")
    action = started(queued(experiment, "generate"))
    wait_for(lambda: stand_in.started() == ["create"])
    cancel(action)
    followed(action)
    assert (action.state, action.message) == (State.CANCELLED, "Cancelled by operator while it ran.")


def test_a_command_that_gets_no_signal_says_why_it_goes_on(
    experiment: Experiment, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.hold("create")
    action = started(queued(experiment, "generate"))
    wait_for(lambda: stand_in.started() == ["create"])
    cancel(action)
    with monkeypatch.context() as patch:
        patch.setattr("autosubmit_portal.agent.accounts.send_signal", refuse)
        assert not follow(action)
    action.refresh_from_db()
    assert (action.state, action.message) == (State.RUNNING, "Its command goes on: sudo: unknown user ana")
    assert action.unseen_since is None
    followed(action)
    assert action.state == State.CANCELLED


def refuse(*_: object) -> None:
    raise PermissionError("sudo: unknown user ana")


def cancel(action: Action) -> None:
    Action.objects.filter(pk=action.pk).update(cancel_requested_at=timezone.now(), cancelled_by="operator")


# --- Workers that die


def test_a_new_worker_finds_the_end_of_what_a_dead_one_started(experiment: Experiment) -> None:
    action = started(queued(experiment, "generate"))
    wait_for((find_directory(action) / "exit_status").exists)
    supervise(experiment.site.queue)
    action.refresh_from_db()
    assert (action.state, action.exit_status) == (State.SUCCEEDED, 0)


def test_a_supervisor_starts_the_next_step_of_what_a_dead_worker_started(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action = started(queued(experiment, "restart"))
    wait_for((find_directory(action) / "exit_status").exists)
    supervise(experiment.site.queue)
    followed(action)
    assert (action.state, stand_in.started()) == (State.SUCCEEDED, ["recovery", "run"])


def test_a_command_that_has_left_no_trace_yet_is_given_time(experiment: Experiment) -> None:
    action = claimed_without_a_trace(experiment)
    assert not follow(action)
    start_step(action, 0)
    assert followed(action).state == State.SUCCEEDED


def test_a_command_that_leaves_no_trace_is_lost_and_never_starts(experiment: Experiment, stand_in: StandIn) -> None:
    action = claimed_without_a_trace(experiment)
    let_pass(LOST_AFTER)
    assert follow(action)
    start_step(action, 0)  # by the worker, which was only slow
    action.refresh_from_db()
    assert (action.state, stand_in.started()) == (State.LOST, [])


def test_what_a_worker_claimed_before_it_died_is_started_by_whoever_looks_next(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action = claim(queued(experiment, "generate").pk)
    assert action is not None
    Action.objects.update(started_at=timezone.now() - GRACE)
    action.refresh_from_db()
    supervise(experiment.site.queue)
    start_step(action, 0)  # by the worker, which was only slow
    assert (followed(action).state, stand_in.started()) == (State.SUCCEEDED, ["create"])


def test_what_a_worker_was_about_to_ask_for_when_it_died_is_asked_for_by_whoever_looks_next(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action, step = decided(experiment, "generate")
    assert not follow(action)
    assert stand_in.started() == []
    let_pass(GRACE)
    supervise(experiment.site.queue)
    commands.start(step, action)  # by the worker, which was only slow
    assert (followed(action).state, stand_in.started()) == (State.SUCCEEDED, ["create"])


def test_a_second_command_whose_worker_died_is_started_by_whoever_looks_next(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action = started(queued(experiment, "restart"))
    wait_for((find_directory(action) / "exit_status").exists)
    Action.objects.update(step=1, step_started_at=timezone.now() - GRACE)
    action.refresh_from_db()
    Step.objects.create(action=action, number=1, key=str(uuid.uuid4()), host=action.site.hosts.get())
    assert not follow(action)
    assert (followed(action).state, stand_in.started()) == (State.SUCCEEDED, ["recovery", "run"])


def test_what_is_not_wanted_any_more_is_not_started_for_a_dead_worker(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action, step = decided(experiment, "generate")
    Action.objects.update(actor=None)
    let_pass(GRACE)
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, action.message) == (State.CANCELLED, f"The account of {action.actor_name} is gone.")
    with pytest.raises(commands.NotStarted, match=r"given up|forgotten"):
        commands.start(step, action)
    assert stand_in.started() == []


def test_what_may_not_run_any_more_fails_and_is_not_started_for_a_dead_worker(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action, _ = decided(experiment, "generate")
    stand_in.hold("run")
    let_pass(GRACE)
    with stand_in.at_terminal("run", experiment.expid):
        wait_for(lambda: mirrored_as_running(experiment))
        assert follow(action)
    action.refresh_from_db()
    assert (action.state, stand_in.started()) == (State.FAILED, [])


def test_a_command_of_another_spool_is_unknown_and_neither_started_nor_lost(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action, _ = decided(experiment, "generate")
    Step.objects.update(spool=str(uuid.uuid4()))
    for time in (GRACE, LOST_AFTER):
        let_pass(time)
        assert not follow(action)
        action.refresh_from_db()
        assert "It may have been started through a gateway of the portal" in action.message
    assert (action.state, stand_in.started()) == (State.RUNNING, [])


def test_a_command_is_bound_to_the_spool_of_the_gateway(experiment: Experiment) -> None:
    action = started(queued(experiment, "generate"))
    assert find(action).spool == own_gateway.read_portal_id()
    assert followed(action).state == State.SUCCEEDED


def test_a_command_that_was_given_up_is_lost_and_not_asked_for_again(experiment: Experiment, stand_in: StandIn) -> None:
    action, step = decided(experiment, "generate")
    commands.give_up(step)
    let_pass(GRACE)
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, stand_in.started()) == (State.LOST, [])


def test_a_command_that_is_lost_before_it_was_asked_for_never_starts(experiment: Experiment, stand_in: StandIn) -> None:
    action, step = decided(experiment, "generate")
    let_pass(LOST_AFTER)
    assert follow(action)
    with pytest.raises(commands.NotStarted, match=r"given up|forgotten"):
        commands.start(step, action)
    assert stand_in.started() == []


def decided(experiment: Experiment, kind: str) -> tuple[Action, Step]:
    """An action of which a worker has decided to start the first command, and died."""
    action = claim(queued(experiment, kind).pk)
    assert action is not None
    Action.objects.filter(pk=action.pk).update(step_started_at=timezone.now())
    action.refresh_from_db()
    key, host = str(uuid.uuid4()), action.site.hosts.get()
    return action, Step.objects.create(action=action, number=0, key=key, host=host)


def let_pass(time: timedelta) -> None:
    """Have all commands started so long ago."""
    Action.objects.update(step_started_at=timezone.now() - time)


def claimed_without_a_trace(experiment: Experiment) -> Action:
    """An action whose step is recorded and whose worker is about to start the command."""
    claimed = claim(queued(experiment, "generate").pk)
    assert claimed is not None
    Action.objects.filter(pk=claimed.pk).update(step_started_at=timezone.now())
    claimed.refresh_from_db()
    return claimed


def test_a_command_that_was_killed_with_its_launcher_is_lost_after_a_while(
    experiment: Experiment, stand_in: StandIn
) -> None:
    stand_in.hold("create")
    action = started(queued(experiment, "generate"))
    wait_for(lambda: stand_in.started() == ["create"])
    kill_with_launcher(action)
    assert not follow(action)
    let_pass(GRACE)
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, action.message.partition(":")[0]) == (
        State.LOST,
        "The command disappeared without an exit status",
    )


def find(action: Action) -> Step:
    step = commands.find_step(action, 0)
    assert step is not None
    return step


def kill_with_launcher(action: Action) -> None:
    os.killpg(int((find_directory(action) / "pid").read_text().split()[0]), signal.SIGKILL)
    wait_for(lambda: not commands.look(find(action)).is_alive)


def test_a_run_that_lives_on_without_its_launcher_is_not_lost(experiment: Experiment, stand_in: StandIn) -> None:
    stand_in.hold("run")
    action = started(queued(experiment, "run"))
    wait_for(lambda: mirrored_as_running(experiment))
    os.kill(int((find_directory(action) / "pid").read_text().split()[0]), signal.SIGKILL)
    let_pass(GRACE)
    assert not follow(action)
    stand_in.release()
    assert followed(action).state == State.LOST


# --- The queue


def test_a_worker_that_leaves_a_run_rings_for_the_next_action(
    experiment: Experiment,
    stand_in: StandIn,
    leaves_at_once: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    monkeypatch.setattr("experiments.actions.slots.STARTING", timedelta(0))
    stand_in.hold("run")
    run = queued(experiment, "run")
    Site.objects.update(most_commands=1)
    waiting = queued(factories.create_experiment(experiment.site), "update_description")
    with django_capture_on_commit_callbacks(execute=True):
        execute(run.pk)
    assert messages() == [("experiments.tasks.execute", (waiting.pk,))]


def test_a_worker_that_makes_room_for_an_action_rings_for_it(
    experiment: Experiment,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    # The message about the action was taken while the run had the slot.
    monkeypatch.setattr("experiments.actions.slots.STARTING", timedelta(0))
    stand_in.hold("run")
    run = queued(experiment, "run")
    Site.objects.update(most_commands=1)
    waiting = queued(factories.create_experiment(experiment.site), "update_description")
    with django_capture_on_commit_callbacks(execute=True):
        execute(run.pk)
    assert messages() == [("experiments.tasks.execute", (waiting.pk,))]


def test_a_worker_that_is_stopped_hands_over_what_it_looks_at(
    experiment: Experiment, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autosubmit_portal.workers.shutdown_flag.is_asked", lambda: True)
    stand_in.hold("create")
    action = executed(queued(experiment, "generate"))
    assert messages() == [("experiments.tasks.watch", (action.pk,))]
    stand_in.release()
    assert followed(action).state == State.SUCCEEDED


def messages() -> list[tuple[str, Any]]:
    """What waits in the queue."""
    return [(message.task["func"], message.task["args"]) for message in OrmQ.objects.order_by("pk")]


# --- What must not start beside a run


def test_a_run_that_began_after_the_last_look_keeps_a_command_that_takes_no_lock_from_starting(
    experiment: Experiment, stand_in: StandIn
) -> None:
    action = claim(queued(experiment, "restart").pk)
    assert action is not None
    stand_in.hold("run")
    with stand_in.at_terminal("run", experiment.expid):
        wait_for(lambda: mirrored_as_running(experiment))
        start_step(action, 0)
    action.refresh_from_db()
    assert (action.state, stand_in.started()) == (State.FAILED, [])
    assert action.message.startswith(f"The command could not be started: {experiment.expid} is running (")
