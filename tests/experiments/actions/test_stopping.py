"""Stops of runs that have just begun: the signal may be lost, and the run may not have begun yet."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosubmit_portal.audit.models import AuditEntry
from experiments.actions import start
from experiments.actions.execute import claim
from experiments.actions.follow import follow
from experiments.actions.start import start_step
from experiments.autosubmit.store import Store
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State
from tests.conftest import MakeExperiment
from tests.support import factories, small_stores
from tests.support.kinds import ANY_COMMAND, commands_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

# As a run that is collecting garbage when the first signal comes: Python tells of that one, and drops it.
RUN = """
import fcntl, signal, sys, time
def drop(*_):
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGINT, drop)
file = open(sys.argv[3], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""
# As `autosubmit stop`, which signals once and then looks again and again, but every 5 s.
STOP = """
import os, signal, sys, time
from pathlib import Path
pid = int(sys.argv[1])
os.kill(pid, signal.SIGINT)
while Path(f"/proc/{pid}/cmdline").read_text():
    print("Waiting for the autosubmit run to safety stop: a000", flush=True)
    time.sleep(0.3)
print("Expid a000 is stopped")
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return small_stores.make_store(tmp_path, ["a000"])


@pytest.fixture
def experiment(store: Store) -> Experiment:
    adopted = sync.adopt(factories.create_store_site(store), "a000")
    assert adopted is not None
    return adopted


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run of a000 that loses the first signal."""
    program = tmp_path / "bin" / "autosubmit"
    program.parent.mkdir()
    program.write_text(RUN)
    arguments = [sys.executable, str(program), "run", "a000", str(store.lock_file("a000"))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def followed(action: Action) -> Action:
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    return action


def stop_of(experiment: Experiment, pid: int) -> Action:
    """Start a stop that signals a process once."""
    Site.objects.update(autosubmit=ANY_COMMAND)
    experiment.refresh_from_db()
    command = [[ANY_COMMAND, "stop", sys.executable, "-c", STOP, str(pid)]]
    stop = claim(factories.create_action(experiment, kind="stop", command=command).pk)
    assert stop is not None
    start_step(stop, 0)
    return stop


def test_a_stop_signals_again_when_the_run_has_lost_the_first(
    experiment: Experiment, run: "subprocess.Popen[str]"
) -> None:
    stop = followed(stop_of(experiment, run.pid))
    assert (stop.state, run.wait() != 0) == (State.SUCCEEDED, True)
    entry = AuditEntry.objects.get(event="action.signalled_again", action_id=stop.pk)
    assert entry.details["pid"] == run.pid


def begun(experiment: Experiment, tmp_path: Path) -> Action:
    """Return a restart whose first command runs; its second one makes the file `started`."""
    Site.objects.update(autosubmit=ANY_COMMAND)
    experiment.refresh_from_db()
    command = [[ANY_COMMAND, "recovery", "true"], [ANY_COMMAND, "run", "touch", str(tmp_path / "started")]]
    action = claim(factories.create_action(experiment, kind="restart", command=command).pk)
    assert action is not None
    return action


def test_a_restart_starts_no_run_when_a_stop_was_asked_for_meanwhile(experiment: Experiment, tmp_path: Path) -> None:
    restart = begun(experiment, tmp_path)
    start_step(restart, 0)
    stop = factories.create_action(experiment, kind="stop", actor_name="ana")
    followed(restart)
    assert (restart.state, restart.step, restart.exit_status) == (State.CANCELLED, 0, 0)
    assert restart.message == f"ana asked to stop it before the run began (action {stop.pk})."


def test_a_restart_starts_its_run_when_the_stop_was_taken_back(experiment: Experiment, tmp_path: Path) -> None:
    restart = begun(experiment, tmp_path)
    start_step(restart, 0)
    factories.create_action(experiment, kind="stop", state=State.CANCELLED)
    assert followed(restart).step == 1


def test_a_run_that_a_worker_has_taken_does_not_begin_when_a_stop_was_asked_for(
    experiment: Experiment, tmp_path: Path
) -> None:
    small_stores.write_pickle(factories.locate_store(experiment.site), "a000", small_stores.READY)
    run = claim(factories.create_action(experiment, command=[["true"]]).pk)
    assert run is not None
    factories.create_action(experiment, kind="stop")
    start.begin(run)
    assert (run.state, run.step_started_at) == (State.CANCELLED, None)


def begin(experiment: Experiment, kind: str) -> Action:
    """Have a worker begin an action, and leave it."""
    command = [[experiment.site.autosubmit, *words] for words in commands_of(CATALOGUE[kind], experiment.expid, {})]
    action = claim(factories.create_action(experiment, kind=kind, command=command).pk)
    assert action is not None
    start_step(action, 0)
    return action


def is_running(experiment: Experiment) -> bool:
    seen = sync.look_alive(experiment)
    return seen is not None and seen.is_running


@pytest.mark.parametrize("seconds", [0.4, 1.0])
def test_a_real_run_that_has_just_begun_is_stopped_long_before_the_limit_of_a_stop(
    seconds: float, site: Site, make_experiment: MakeExperiment
) -> None:
    experiment = sync.adopt(site, make_experiment("long"))
    assert experiment is not None
    run = begin(experiment, "run")
    wait_for(lambda: is_running(experiment))
    time.sleep(seconds)
    stop = begin(experiment, "stop")
    wait_for(lambda: follow(stop))
    assert followed(run).state == State.CANCELLED, run.message
    assert not is_running(experiment)
