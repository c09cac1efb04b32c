"""What is asked of an experiment that is archived, or is gone: nothing is done to it, whatever it is."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions import start
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.checks import Facts, find_obstacle
from experiments.actions.execute import execute
from experiments.actions.preview import preview_action
from experiments.actions.recheck import find_absence
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.autosubmit.store import Store
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.mirror import sync
from experiments.models import Action, Experiment, State, annotate_active_action
from tests.console.pages import filled
from tests.support import factories, small_stores

pytestmark = pytest.mark.django_db

KINDS = [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return small_stores.make_store(tmp_path, ["a000"])


@pytest.fixture
def mirrored(store: Store) -> Experiment:
    experiment = sync.adopt(factories.create_store_site(store), "a000")
    assert experiment is not None
    return experiment


def archive(store: Store) -> None:
    """Do what `autosubmit archive` does."""
    year = store.root / "2026"
    year.mkdir()
    (year / "a000.tar.gz").touch()
    shutil.rmtree(store.root / "a000")


def delete(store: Store) -> None:
    """Do what `autosubmit delete` does."""
    with closing(sqlite3.connect(store.database)) as database, database:
        database.execute("DELETE FROM experiment")
    shutil.rmtree(store.root / "a000")


def make_request(actor: User, kind: ActionKind, experiment: Experiment) -> ActionRequest:
    jobs = {"jobs": ["a000_0"]} if kind.target is Target.JOBS else {}
    origin = Origin.make(actor, door=Door.API)
    return ActionRequest(
        actor=actor,
        origin=origin,
        kind=kind,
        site=experiment.site,
        experiment=experiment,
        parameters=filled(kind) | jobs,
        reason="tests",
    )


def seen_again(experiment: Experiment) -> Any:
    sync.adopt(experiment.site, experiment.expid)
    return annotate_active_action().get(pk=experiment.pk)


@kinds
def test_an_archived_experiment_refuses_everything_and_says_where_it_is(
    kind: ActionKind, manager: User, mirrored: Experiment, store: Store
) -> None:
    archive(store)
    request = make_request(manager, kind, seen_again(mirrored))
    for door in (request_action, preview_action):
        with pytest.raises(Conflict, match=r"2026/a000\.tar\.gz: `autosubmit unarchive a000`"):
            door(request)
    assert "unarchive" in str(find_obstacle(request, Facts([request])))


@kinds
def test_a_gone_experiment_refuses_everything(
    kind: ActionKind, manager: User, mirrored: Experiment, store: Store
) -> None:
    delete(store)
    request = make_request(manager, kind, seen_again(mirrored))
    for door in (request_action, preview_action):
        with pytest.raises(Conflict, match="a000 is gone from the store"):
            door(request)
    assert "gone" in str(find_obstacle(request, Facts([request])))


@kinds
@pytest.mark.parametrize("end", [archive, delete])
def test_a_worker_looks_again_whether_the_experiment_is_there(
    end: Any, kind: ActionKind, mirrored: Experiment, store: Store
) -> None:
    parameters = filled(kind) | ({"jobs": ["a000_0"]} if kind.target is Target.JOBS else {})
    action = factories.create_action(mirrored, kind=kind.name, parameters=parameters, command=[["x"]])
    end(store)
    execute(action.pk)
    action.refresh_from_db()
    assert action.step_started_at is None
    assert action.state in (State.FAILED, State.CANCELLED)
    assert "a000" in action.message


def test_a_restart_does_not_run_what_was_archived_while_it_recovered(mirrored: Experiment, store: Store) -> None:
    action = factories.create_action(mirrored, kind="restart", state=State.RUNNING)
    archive(store)
    assert start.go_on(action, 0)
    action.refresh_from_db()
    assert (action.state, "archived" in action.message) == (State.CANCELLED, True)


def test_a_stop_is_sent_although_nobody_can_tell_whether_the_store_is_there() -> None:
    experiment = factories.create_experiment(factories.create_site(home="/nonexistent"))
    assert find_absence(factories.create_action(experiment, kind="stop")) == ""


def test_an_experiment_that_an_action_finds_gone_is_gone_at_once(mirrored: Experiment, store: Store) -> None:
    delete(store)
    assert sync.adopt(mirrored.site, "a000") is None
    assert Experiment.objects.get(pk=mirrored.pk).gone_at is not None


def test_an_experiment_that_comes_back_can_be_acted_on_again(manager: User, mirrored: Experiment, store: Store) -> None:
    Experiment.objects.update(gone_at=timezone.now(), is_absent=True)
    action = request_action(make_request(manager, CATALOGUE["run"], seen_again(mirrored)))
    assert Action.objects.get(pk=action.pk).state == State.QUEUED


def test_an_archived_experiment_is_not_copied(manager: User, mirrored: Experiment, store: Store) -> None:
    archive(store)
    seen_again(mirrored)
    parameters = {"description": "x", "copy": "a000"}
    copy = replace(make_request(manager, CATALOGUE["create"], mirrored), experiment=None, parameters=parameters)
    with pytest.raises(InvalidParameters, match="archived"):
        request_action(copy)
