"""Stops with force: they go past those without, and a run that needs one is told beforehand."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import claim, execute
from experiments.actions.follow import _judge, follow
from experiments.actions.preview import preview_action
from experiments.actions.refusals import Conflict
from experiments.actions.start import start_step
from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.output import Outcome
from experiments.autosubmit.store import Store
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State, annotate_active_action
from tests.conftest import MakeExperiment
from tests.support import factories, small_stores
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

# A run that a shell has put into the background.
RUN = """
import fcntl, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
file = open(sys.argv[3], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return small_stores.make_store(tmp_path, ["a000"])


@pytest.fixture
def deaf_run(store: Store, tmp_path: Path) -> Iterator[int]:
    """A process that runs a000 and ignores SIGINT."""
    program = tmp_path / "autosubmit.d" / "autosubmit"
    program.parent.mkdir()
    program.write_text(RUN)
    arguments = [sys.executable, str(program), "run", "a000", str(store.lock_file("a000"))]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process.pid


@pytest.fixture
def running(store: Store) -> Experiment:
    """The experiment a000, which runs as far as anybody knows."""
    experiment = sync.adopt(factories.create_store_site(store, is_default=True), "a000")
    assert experiment is not None
    Experiment.objects.update(is_running=True)
    return experiment


def make_request(actor: User, experiment: Experiment, **parameters: Any) -> ActionRequest:
    return ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
        kind=CATALOGUE["stop"],
        site=experiment.site,
        experiment=Experiment.objects.get(pk=experiment.pk),
        parameters=parameters,
        reason="tests",
    )


def test_a_stop_with_force_goes_past_one_that_waits(operator: User, running: Experiment) -> None:
    waiting = request_action(make_request(operator, running))
    claim(waiting.pk)
    assert request_action(make_request(operator, running, force=True)).state == State.QUEUED


def test_a_second_stop_with_force_is_refused(operator: User, running: Experiment) -> None:
    request_action(make_request(operator, running))
    first = request_action(make_request(operator, running, force=True))
    with pytest.raises(Conflict) as refusal:
        request_action(make_request(operator, running, force=True))
    assert refusal.value.action_id == first.pk


def test_a_stop_with_force_is_first(operator: User, running: Experiment) -> None:
    waiting = request_action(make_request(operator, running))
    forced = request_action(make_request(operator, running, force=True))
    execute(waiting.pk)
    started = Action.objects.order_by("started_at").values_list("pk", flat=True)
    assert list(started) == [forced.pk, waiting.pk]


def test_a_run_that_ignores_the_signal_is_told_before_it_is_stopped(
    operator: User, deaf_run: int, running: Experiment
) -> None:
    sync.look_alive(running)
    assert f"ignores SIGINT (process {deaf_run} " in preview_action(make_request(operator, running)).foreseen
    assert preview_action(make_request(operator, running, force=True)).foreseen == ""


def test_a_stop_that_cannot_work_fails_at_once(deaf_run: int, running: Experiment) -> None:
    stop = factories.create_action(running, kind="stop")
    execute(stop.pk)
    stop.refresh_from_db()
    assert (stop.state, stop.step_started_at) == (State.FAILED, None)
    assert stop.message.endswith("only force ends it.")


def test_a_stop_that_took_too_long_says_that_the_run_ignores_it(deaf_run: int, running: Experiment) -> None:
    long_ago = timezone.now() - timedelta(minutes=6)
    stop = factories.create_action(running, kind="stop", state=State.RUNNING, step_started_at=long_ago)
    message = _judge(stop, Outcome(False, "")).message
    assert "more than 5 min" in message
    assert "only force ends it" in message


def test_a_dry_run_of_a_stop_warns_of_a_run_that_ignores_the_signal(
    operator: User, deaf_run: int, running: Experiment, api: Any
) -> None:
    sync.look_alive(running)
    client: APIClient = api(operator)
    body = client.post("/v4/experiments/a000?action=stop&dry_run=true").json()
    assert "only force ends it" in body["warnings"][0]


def test_a_run_that_takes_the_signal_is_foreseen_to_stop(running: Experiment) -> None:
    sync.look_alive(running)
    seen = annotate_active_action().get()
    assert CATALOGUE["stop"].foresee_failure(seen, {}) == ""


def test_a_dry_run_does_not_advise_a_force_that_does_nothing() -> None:
    said = "[CRITICAL] Experiment can't be recovered due being 1 active jobs, please use the flag -f [eCode=7053]"
    kind = CATALOGUE["restart"]
    assert "Use force" in kind.steps[0].outcome(141, said).message
    told = kind.as_dry_run.steps[0].outcome(141, said).message
    assert "dry_run=true" in told
    assert "flag -f" not in told


@pytest.fixture
def background_run(site: Site, make_experiment: MakeExperiment) -> Iterator[Experiment]:
    """A real experiment that somebody runs in the background of a shell."""
    experiment = sync.adopt(site, make_experiment("long"))
    assert experiment is not None
    shell = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", site.autosubmit, "run", experiment.expid]
    variables = make_environment(Path(site.autosubmit), Path(site.home), settings.CACHES_DIRECTORY)
    # What it prints goes nowhere: it would wait for a reader.
    with subprocess.Popen(
        shell, env=variables, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        yield experiment
        process.kill()


def is_deaf(experiment: Experiment) -> bool:
    sync.look_alive(experiment)
    return Experiment.objects.get(pk=experiment.pk).ignores_interrupt


def test_force_ends_a_run_in_the_background_and_the_stop_that_waits_for_it(background_run: Experiment) -> None:
    wait_for(lambda: is_deaf(background_run))
    words = [[background_run.site.autosubmit, "stop", "--yes", background_run.expid]]
    waiting = claim(factories.create_action(background_run, kind="stop", command=words).pk)
    assert waiting is not None
    start_step(waiting, 0)
    command, parameters = [[*words[0], "--force"]], {"force": True}
    values = {"kind": "stop", "command": command, "parameters": parameters, "is_forced": True}
    forced = factories.create_action(background_run, **values)
    execute(forced.pk)
    wait_for(lambda: follow(waiting))
    assert [Action.objects.get(pk=action.pk).state for action in (waiting, forced)] == [State.SUCCEEDED] * 2
