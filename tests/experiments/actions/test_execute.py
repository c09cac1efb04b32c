"""The way of an action through the real Autosubmit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.audit.models import AuditEntry
from experiments import commands
from experiments.actions.execute import claim, execute
from experiments.actions.follow import follow
from experiments.actions.start import start_step
from experiments.actions.supervise import supervise
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State
from tests.conftest import MakeExperiment
from tests.support import factories
from tests.support.kinds import commands_of
from tests.support.steps import find_directory
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def mirrored(site: Site, make_experiment: MakeExperiment) -> Callable[..., Experiment]:
    """Make a real experiment and mirror it."""

    def make(kind: str, **options: Any) -> Experiment:
        experiment = sync.adopt(site, make_experiment(kind, **options))
        assert experiment is not None
        return experiment

    return make


def queued(experiment: Experiment, kind: str, **parameters: Any) -> Action:
    """Queue an action as the door does."""
    commands = commands_of(CATALOGUE[kind], experiment.expid, parameters)
    command = [[experiment.site.autosubmit, *words] for words in commands]
    overtakes = CATALOGUE[kind].may_overtake
    return factories.create_action(
        experiment, kind=kind, parameters=parameters, command=command, may_overtake=overtakes
    )


def executed(action: Action) -> Action:
    execute(action.pk)
    action.refresh_from_db()
    return action


def followed(action: Action) -> Action:
    """Follow a running action to its end."""
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    return action


def statuses(experiment: Experiment) -> set[str]:
    return set(experiment.jobs.values_list("status", flat=True))


def is_running(experiment: Experiment) -> bool:
    seen = sync.look_alive(experiment)
    return seen is not None and seen.is_running


def test_a_run_completes_all_jobs(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("small")
    action = queued(experiment, "run")
    execute(action.pk)
    followed(action)
    assert (action.state, action.exit_status) == (State.SUCCEEDED, 0)
    assert statuses(experiment) == {"COMPLETED"}


def test_a_run_with_a_failed_job_fails(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("failing")
    action = queued(experiment, "run")
    execute(action.pk)
    followed(action)
    assert (action.state, action.exit_status) == (State.FAILED, 1)
    assert "FAILED" in statuses(experiment)


def test_a_list_that_takes_several_commands_tells_what_all_of_them_changed(
    mirrored: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.autosubmit.command.LONGEST_LIST_BYTES", 30)
    experiment = mirrored("small")
    names = sorted(experiment.jobs.values_list("name", flat=True))
    action = executed(queued(experiment, "set_status", status="SUSPENDED", jobs=names))
    assert len(action.command) > 1
    assert (action.state, action.message) == (State.SUCCEEDED, "Changed: 4 jobs to SUSPENDED.")
    assert sorted(name for name, _ in action.job_changes) == names
    assert statuses(experiment) == {"SUSPENDED"}


def test_a_run_outlives_its_worker_and_stop_ends_it(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("long")
    run = queued(experiment, "run")
    execute(run.pk)  # the worker has looked for a while and has gone
    stop = followed(executed(queued(experiment, "stop")))
    assert (stop.state, followed(run).state) == (State.SUCCEEDED, State.CANCELLED)
    experiment.refresh_from_db()
    assert not experiment.is_running


def test_a_generated_job_list_is_mirrored(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("waiting")
    action = executed(queued(experiment, "generate"))
    experiment.refresh_from_db()
    assert (action.state, experiment.status_counts) == (State.SUCCEEDED, {"READY": 1, "WAITING": 3})


def test_a_set_status_tells_which_jobs_changed(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("small")
    job = f"{experiment.expid}_SETUP"
    action = executed(queued(experiment, "set_status", status="SUSPENDED", jobs=[job]))
    assert action.job_changes == [[job, "SUSPENDED"]]
    assert experiment.jobs.get(name=job).status == "SUSPENDED"


def test_a_restart_recovers_and_then_runs(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("small")
    action = queued(experiment, "restart")
    execute(action.pk)
    followed(action)
    assert (action.state, action.step) == (State.SUCCEEDED, 1)
    outputs = [commands.read_text(commands.find_step(action, step)) for step in (0, 1)]
    assert "Recovery finalized" in outputs[0]
    assert "Run successful" in outputs[1]


def test_a_description_arrives_exactly_as_typed(mirrored: Callable[..., Experiment]) -> None:
    text = "--help 'quotes\" $(touch x) `id`\n\ttwo lines 🌍\\n" + "x" * 9_000
    experiment = mirrored("waiting")
    action = executed(queued(experiment, "update_description", description=text))
    experiment.refresh_from_db()
    assert (action.state, experiment.description) == (State.SUCCEEDED, text)


def test_a_created_experiment_is_mirrored_with_its_description(site: Site) -> None:
    text = "-x 'new' \"one\" $(touch x)\n🌍"
    words = commands_of(CATALOGUE["create"], "", {"description": text, "dummy": True})
    action = Action.objects.create(
        kind="create",
        site=site,
        actor=factories.create_administrator(),
        actor_name="somebody",
        command=[[site.autosubmit, *words[0]]],
    )
    executed(action)
    assert action.state == State.SUCCEEDED
    assert action.experiment is not None
    assert (action.expid, action.experiment.description) == (action.experiment.expid, text)


def test_a_second_creation_waits_for_the_first(site: Site) -> None:
    first, second = (Action.objects.create(kind="create", site=site, actor_name="somebody") for _ in range(2))
    assert claim(first.pk) is not None
    assert claim(second.pk) is None
    second.refresh_from_db()
    assert second.state == State.QUEUED


def test_a_failed_command_says_why(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("small")
    action = queued(experiment, "set_status", status="READY", jobs=[f"{experiment.expid}_NOPE"])
    executed(action)
    assert (action.state, action.exit_status) == (State.FAILED, 99)
    assert f"{experiment.expid}_NOPE" in action.message


def test_a_task_that_is_delivered_twice_runs_once(mirrored: Callable[..., Experiment]) -> None:
    action = executed(queued(mirrored("waiting"), "generate"))
    execute(action.pk)
    started = AuditEntry.objects.filter(event="action.command_started", action_id=action.pk)
    assert started.count() == 1


def test_every_state_has_its_audit_entry(mirrored: Callable[..., Experiment]) -> None:
    action = executed(queued(mirrored("waiting"), "generate"))
    events = AuditEntry.objects.filter(action_id=action.pk).order_by("pk").values_list("event", flat=True)
    assert list(events) == ["action.running", "action.command_started", "action.succeeded"]


def test_a_program_that_is_missing_fails_the_action(mirrored: Callable[..., Experiment]) -> None:
    action = queued(mirrored("waiting"), "generate")
    Site.objects.update(autosubmit="/nonexistent/autosubmit")
    executed(action)
    assert (action.state, action.exit_status) == (State.FAILED, 127)


def test_an_experiment_that_has_started_in_the_meantime_is_not_started_again(
    mirrored: Callable[..., Experiment],
) -> None:
    experiment = mirrored("long")
    run = queued(experiment, "run")
    execute(run.pk)
    wait_for(lambda: is_running(experiment))
    Action.objects.filter(pk=run.pk).update(state=State.LOST)  # as if somebody had started it from a terminal
    late = executed(queued(experiment, "restart"))
    executed(queued(experiment, "stop", force=True))
    assert (late.state, late.step_started_at) == (State.FAILED, None)
    assert "Stop it first" in late.message


def test_a_command_without_evidence_is_lost_and_not_started_again(
    mirrored: Callable[..., Experiment], tmp_path: Path
) -> None:
    action = queued(mirrored("waiting"), "generate")
    Action.objects.filter(pk=action.pk).update(
        state=State.RUNNING, step_started_at="2026-01-01T00:00:00Z", started_at="2026-01-01T00:00:00Z"
    )
    supervise(action.site.queue)
    action.refresh_from_db()
    assert action.state == State.LOST
    assert not action.steps.exists()


def test_a_new_worker_finds_the_end_of_what_a_dead_one_started(mirrored: Callable[..., Experiment]) -> None:
    experiment = mirrored("waiting")
    action = queued(experiment, "generate")
    claimed = claim(action.pk)
    assert claimed is not None
    start_step(claimed, 0)  # and here the worker dies
    wait_for((find_directory(action) / "exit_status").exists)
    supervise(experiment.site.queue)
    action.refresh_from_db()
    assert (action.state, action.exit_status) == (State.SUCCEEDED, 0)
