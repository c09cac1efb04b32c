"""Changing jobs through the run of their experiment, which is real here."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from experiments.actions.execute import claim
from experiments.actions.follow import follow
from experiments.actions.start import start_step
from experiments.actions.supervise import supervise
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State
from tests.conftest import MakeExperiment
from tests.support import factories
from tests.support.services import processes_of
from tests.support.steps import find_directory
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(site: Site, make_experiment: MakeExperiment) -> Iterator[Experiment]:
    """An experiment whose job LONG runs while AFTER waits for it."""
    experiment = sync.adopt(site, make_experiment("long"))
    assert experiment is not None
    started(queued(experiment, "run"))
    wait_for(lambda: status(experiment, "LONG") == "RUNNING")
    yield experiment
    for pid in processes_of_experiment(experiment):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def queued(experiment: Experiment, kind: str, *names: str, status: str = "") -> Action:
    jobs = [f"{experiment.expid}_{name}" for name in names]
    parameters = {"status": status, "jobs": jobs} if jobs else {}
    command = CATALOGUE[kind].make_command_lines(experiment.site.autosubmit, experiment.expid, parameters)
    return factories.create_action(experiment, kind=kind, parameters=parameters, command=command)


def started(action: Action) -> Action:
    """Start its command as a worker does, without looking on."""
    claimed = claim(action.pk)
    assert claimed is not None
    start_step(claimed, 0)
    return claimed


def ended(action: Action) -> Action:
    """Let the mirror and the supervisor look, again and again, until it has ended; its run is followed as well."""
    experiment = action.experiment
    assert experiment is not None

    def look() -> bool:
        sync.refresh(experiment)
        supervise(action.site.queue)
        action.refresh_from_db()
        return not action.is_active

    wait_for(look)
    return action


def status(experiment: Experiment, name: str) -> str:
    sync.refresh(experiment)
    found: str = experiment.jobs.get(name=f"{experiment.expid}_{name}").status
    return found


def processes_of_experiment(experiment: Experiment) -> list[int]:
    found = processes_of(experiment.site.home_folder)
    return [pid for pid, command in found.items() if experiment.expid in command]


def run_of(experiment: Experiment) -> int:
    """The process of the run."""
    found = processes_of(experiment.site.home_folder)
    return next(pid for pid, command in found.items() if command.endswith(f"autosubmit run {experiment.expid}"))


def list_of(experiment: Experiment) -> Path:
    folder = experiment.site.home_folder / "autosubmit" / experiment.expid / "status"
    return folder / f"updated_list_{experiment.expid}.txt"


@pytest.mark.parametrize("wanted", ["SUSPENDED", "COMPLETED"])
def test_the_run_changes_a_job_and_goes_on(running: Experiment, wanted: str) -> None:
    action = ended(started(queued(running, "set_status_live", "AFTER", status=wanted)))
    assert (action.state, action.exit_status) == (State.SUCCEEDED, 0), action.message
    job = f"{running.expid}_AFTER"
    assert action.job_changes == [[job, wanted]]
    assert action.message.endswith(f"Now {job} is {wanted}.")
    assert (status(running, "AFTER"), status(running, "LONG")) == (wanted, "RUNNING")
    running.refresh_from_db()
    assert running.is_running


def test_a_job_that_is_made_ready_is_submitted(running: Experiment) -> None:
    action = ended(started(queued(running, "set_status_live", "AFTER", status="READY")))
    assert action.state == State.SUCCEEDED, action.message
    wait_for(lambda: status(running, "AFTER") == "COMPLETED")


def test_a_change_whose_worker_died_is_adopted(running: Experiment) -> None:
    action = started(queued(running, "set_status_live", "AFTER", status="SUSPENDED"))  # and the worker dies
    wait_for((find_directory(action) / "exit_status").exists)
    supervise(running.site.queue)
    action.refresh_from_db()
    assert (action.state, status(running, "AFTER")) == (State.SUCCEEDED, "SUSPENDED")


def test_a_change_that_the_run_does_not_live_to_read_fails_and_is_taken_back(running: Experiment) -> None:
    pid = run_of(running)
    os.kill(pid, signal.SIGSTOP)  # it holds its lock and reads nothing
    action = started(queued(running, "set_status_live", "AFTER", status="SUSPENDED"))
    wait_for(list_of(running).exists)
    assert not follow(action)
    os.kill(pid, signal.SIGKILL)
    ended(action)
    assert (action.state, action.exit_status) == (State.FAILED, 6)
    assert "No run has read the change. It was taken back" in action.message
    assert not list_of(running).exists()
    assert status(running, "AFTER") == "WAITING"


def test_a_change_that_waits_already_is_not_overwritten(running: Experiment) -> None:
    os.kill(run_of(running), signal.SIGSTOP)
    list_of(running).write_text("somebody else's\n")
    action = ended(started(queued(running, "set_status_live", "AFTER", status="SUSPENDED")))
    assert action.state == State.FAILED
    assert "previous change is still waiting" in action.message
    assert list_of(running).read_text() == "somebody else's\n"


def test_a_cancelled_change_is_taken_back(running: Experiment) -> None:
    os.kill(run_of(running), signal.SIGSTOP)
    action = started(queued(running, "set_status_live", "AFTER", status="SUSPENDED"))
    wait_for(list_of(running).exists)
    Action.objects.filter(pk=action.pk).update(cancel_requested_at="2026-11-24T09:00:00Z", cancelled_by="ana")
    ended(action)
    assert (action.state, list_of(running).exists()) == (State.CANCELLED, False)
