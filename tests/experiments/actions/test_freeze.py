"""Freezes: what they refuse and what they leave, whom they touch, and how they end."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions import finish, follow
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.freeze import FreezePlan, end_freeze, freeze
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.actions.supervise import supervise
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, Freeze, State
from tests.support import factories

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def ask(actor: User, kind: str, experiment: Experiment, **parameters: Any) -> Action:
    return request_action(
        ActionRequest(
            actor=actor,
            origin=Origin.make(actor, door=Door.API),
            kind=CATALOGUE[kind],
            site=experiment.site,
            experiment=experiment,
            parameters=parameters,
        )
    )


def origin(actor: User) -> Origin:
    return Origin.make(actor, door=Door.API)


@pytest.fixture
def ready() -> Experiment:
    """An experiment on MN5: one job waits on another platform, and one has completed on a third."""
    experiment = factories.create_experiment(expid="a000", hpc="mn5", owner="ana")
    factories.create_job(experiment, "a000_SIM", status="FAILED", platform="MN5")
    factories.create_job(experiment, "a000_POST", status="WAITING", platform="lumi")
    factories.create_job(experiment, "a000_INI", status="COMPLETED", platform="local")
    return experiment


@pytest.mark.parametrize("kind", ["run", "restart"])
def test_nothing_is_started_while_a_site_is_frozen(kind: str, operator: User, ready: Experiment) -> None:
    factories.create_freeze(ready.site, message="New disks")
    with pytest.raises(Conflict, match="is frozen: New disks"):
        ask(operator, kind, ready)
    assert AuditEntry.objects.filter(event="action.refused", message__contains="New disks").exists()


@pytest.mark.parametrize("kind", ["generate", "update_description", "set_status"])
def test_what_submits_no_jobs_goes_on(kind: str, manager: User, ready: Experiment) -> None:
    factories.create_freeze(ready.site)
    given: dict[str, dict[str, Any]] = {
        "update_description": {"description": "x"},
        "set_status": {"status": "READY", "jobs": ["a000_SIM"]},
    }
    request = ActionRequest(
        actor=manager,
        origin=origin(manager),
        kind=CATALOGUE[kind],
        site=ready.site,
        experiment=ready,
        parameters=given.get(kind, {}),
        reason="needed",
    )
    assert request_action(request).state == State.QUEUED


def test_a_stop_is_always_possible(operator: User, ready: Experiment) -> None:
    factories.create_freeze(ready.site)
    Experiment.objects.update(is_running=True)
    assert ask(operator, "stop", ready).state == State.QUEUED


@pytest.mark.parametrize(("status", "is_refused"), [("READY", True), ("COMPLETED", True), ("SUSPENDED", False)])
def test_a_live_change_is_refused_where_it_lets_jobs_start(
    status: str, is_refused: bool, operator: User, ready: Experiment
) -> None:
    factories.create_freeze(ready.site)
    Experiment.objects.update(is_running=True)
    try:
        ask(operator, "set_status_live", ready, status=status, jobs=["a000_SIM"])
    except Conflict:
        assert is_refused
    else:
        assert not is_refused


def test_a_dry_run_of_a_restart_submits_nothing() -> None:
    assert not CATALOGUE["restart"].as_dry_run.submits_jobs({})


@pytest.mark.parametrize("kind", [kind for kind in CATALOGUE.values() if kind.is_run], ids=lambda kind: kind.name)
def test_every_kind_that_ends_in_a_run_submits_jobs(kind: Any) -> None:
    assert kind.submits_jobs({})


@pytest.mark.parametrize(("platform", "is_frozen"), [("MN5", True), ("LUMI", True), ("LOCAL", False), ("MN", False)])
def test_a_platform_touches_the_hpc_and_the_platforms_of_unfinished_jobs(
    platform: str, is_frozen: bool, ready: Experiment
) -> None:
    made = factories.create_freeze(ready.site, platform=platform)
    assert Freeze.objects.active().filter_touching(ready).exists() is is_frozen
    Experiment.objects.update(is_running=True)
    assert made.find_running_experiments().exists() is is_frozen


def test_a_freeze_of_another_site_touches_nothing_here(operator: User, ready: Experiment) -> None:
    factories.create_freeze(factories.create_site())
    assert ask(operator, "run", ready).state == State.QUEUED


@pytest.mark.parametrize(
    "times",
    [
        {"starts_at": timezone.now() + HOUR},
        {"starts_at": timezone.now() - 2 * HOUR, "ends_at": timezone.now() - HOUR},
        {"ended_at": timezone.now()},
    ],
    ids=["planned", "over", "ended"],
)
def test_a_freeze_holds_in_its_time_only(times: dict[str, Any], operator: User, ready: Experiment) -> None:
    made = factories.create_freeze(ready.site, **times)
    assert not made.is_active
    assert ask(operator, "run", ready).state == State.QUEUED


def test_what_was_queued_before_is_cancelled_with_the_message(operator: User, ready: Experiment) -> None:
    action = ask(operator, "run", ready)
    factories.create_freeze(ready.site, message="New disks")
    execute(action.pk)
    action.refresh_from_db()
    assert action.state == State.CANCELLED
    assert action.message.endswith("is frozen: New disks")


def test_a_restart_does_not_go_on_to_its_run(ready: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    action = factories.create_action(ready, kind="restart", state=State.RUNNING)
    factories.create_freeze(ready.site)
    monkeypatch.setattr(finish, "_mirror", lambda action, _: action.experiment)
    assert follow._follow_ended(action, 0)
    action.refresh_from_db()
    assert (action.state, action.step) == (State.CANCELLED, 0)


def test_a_manager_freezes_and_it_is_in_the_trail(manager: User, ready: Experiment) -> None:
    plan = FreezePlan(site=ready.site, platform=" mn5 ", message="New disks", ends_at=timezone.now() + HOUR)
    made = freeze(plan, actor=manager, origin=origin(manager))
    entry = AuditEntry.objects.get(event="freeze.made")
    assert (made.platform, entry.actor_name, entry.site, entry.message) == (
        "MN5",
        "manager",
        ready.site.slug,
        "New disks",
    )


def test_an_operator_does_not_freeze_and_the_attempt_is_recorded(operator: User, ready: Experiment) -> None:
    with pytest.raises(Forbidden, match=r"experiments\.freeze_site"):
        freeze(FreezePlan(site=ready.site, message="x"), actor=operator, origin=origin(operator))
    assert AuditEntry.objects.get(event="freeze.refused").actor_name == "operator"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"message": "  "}, "message"),
        ({"ends_at": timezone.now() - HOUR}, "ends_at"),
        ({"starts_at": timezone.now() - HOUR}, "starts_at"),
        ({"starts_at": timezone.now() + 2 * HOUR, "ends_at": timezone.now() + HOUR}, "ends_at"),
    ],
)
def test_a_freeze_that_makes_no_sense_is_refused(
    wrong: dict[str, Any], field: str, manager: User, ready: Experiment
) -> None:
    plan = FreezePlan(site=ready.site, **{"message": "x"} | wrong)
    with pytest.raises(InvalidParameters, match=field):
        freeze(plan, actor=manager, origin=origin(manager))


def test_a_freeze_is_ended_once(manager: User, operator: User, ready: Experiment) -> None:
    made = factories.create_freeze(ready.site)
    end_freeze(made, actor=manager, origin=origin(manager))
    with pytest.raises(Conflict, match="over already"):
        end_freeze(made, actor=manager, origin=origin(manager))
    assert AuditEntry.objects.filter(event="freeze.ended").count() == 1
    assert ask(operator, "run", ready).state == State.QUEUED


def test_the_end_of_its_time_is_recorded(ready: Experiment) -> None:
    ended_at = timezone.now() - HOUR
    factories.create_freeze(ready.site, starts_at=ended_at - HOUR, ends_at=ended_at)
    supervise(ready.site.queue)
    supervise(ready.site.queue)
    assert (Freeze.objects.get().ended_at, Freeze.objects.get().ended_by_name) == (ended_at, "")
    assert AuditEntry.objects.get(event="freeze.ended").door == Door.WORKER


def test_the_database_wants_the_end_after_the_start(ready: Experiment) -> None:
    with pytest.raises(IntegrityError):
        factories.create_freeze(ready.site, ends_at=timezone.now() - HOUR)
