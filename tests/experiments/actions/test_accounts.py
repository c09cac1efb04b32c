"""Which Unix account an action runs as; that it then does is shown in tests/agent/test_accounts.py."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.access.models import SiteAccount
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments import commands
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.checks import Facts, find_obstacle
from experiments.actions.execute import execute
from experiments.actions.refusals import Conflict
from experiments.actions.start import start_step
from experiments.autosubmit.store import NO_OWNER
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, State, annotate_active_action
from experiments.models.site import RunAs
from tests.support import factories
from tests.support.small_stores import make_store

pytestmark = pytest.mark.django_db


def make_request(actor: User, kind: str, experiment: Experiment) -> ActionRequest:
    return ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
        kind=CATALOGUE[kind],
        site=experiment.site,
        experiment=experiment,
        parameters={},
    )


@pytest.fixture
def ready() -> Experiment:
    """An experiment with a job list at a site where commands run as the person who asks."""
    experiment = factories.create_experiment(
        factories.create_site(slug="local", run_as=RunAs.ACTOR), expid="a000", owner="owner"
    )
    factories.create_job(experiment, status="FAILED")
    return experiment


@pytest.fixture
def mapped(operator: User, ready: Experiment) -> User:
    """The operator, who is ana at the site."""
    SiteAccount.objects.create(user=operator, site=ready.site, unix_name="ana")
    return operator


@pytest.fixture
def started_as(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that commands were started as."""
    names: list[str] = []

    monkeypatch.setattr(commands, "start", lambda _step, action: names.append(action.unix_name))
    return names


def test_commands_run_as_the_service_account_unless_the_site_says_otherwise(operator: User, ready: Experiment) -> None:
    ready.site.run_as = RunAs.SERVICE
    assert request_action(make_request(operator, "run", ready)).unix_name == ""


def test_a_command_runs_as_the_account_of_who_asked(mapped: User, ready: Experiment, started_as: list[str]) -> None:
    action = request_action(make_request(mapped, "run", ready))
    Action.objects.update(state=State.RUNNING)
    start_step(action, 0)
    assert (action.unix_name, started_as) == ("ana", ["ana"])
    assert AuditEntry.objects.get(event="action.requested").details["unix_name"] == "ana"


def test_who_has_no_account_there_is_refused_and_told_why(operator: User, ready: Experiment) -> None:
    with pytest.raises(Conflict, match="operator has no Unix account there"):
        request_action(make_request(operator, "run", ready))
    assert AuditEntry.objects.filter(event="action.refused").exists()


def test_a_button_says_why_it_is_not_possible(operator: User, ready: Experiment) -> None:
    experiment = annotate_active_action().get()
    request = make_request(operator, "run", experiment)
    assert "no Unix account" in str(find_obstacle(request, Facts([request])))


def test_an_account_elsewhere_counts_for_nothing(operator: User, ready: Experiment) -> None:
    SiteAccount.objects.create(user=operator, site=factories.create_site(), unix_name="ana")
    with pytest.raises(Conflict):
        request_action(make_request(operator, "run", ready))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: SiteAccount.objects.update(unix_name="ben"), "It was to run as ana"),
        (lambda: SiteAccount.objects.all().delete(), "has no Unix account there"),
    ],
)
def test_an_account_that_has_changed_meanwhile_is_not_used(
    change: Callable[[], Any], message: str, mapped: User, ready: Experiment, started_as: list[str]
) -> None:
    action = request_action(make_request(mapped, "run", ready))
    change()
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, started_as) == (State.FAILED, [])
    assert message in action.message


@pytest.mark.parametrize("started", ["ana", ""])
def test_a_stop_runs_as_the_account_of_the_run(started: str, operator: User, ready: Experiment) -> None:
    factories.create_action(ready, kind="run", state=State.RUNNING, unix_name=started)
    assert request_action(make_request(operator, "stop", ready)).unix_name == started


@pytest.fixture
def from_outside(ready: Experiment) -> Experiment:
    """The experiment, run by its owner without the portal."""
    Experiment.objects.update(is_running=True)
    ready.refresh_from_db()
    return ready


def enter(experiment: Experiment, unix_name: str) -> None:
    """Enter a Unix account at the site, as that of somebody else."""
    SiteAccount.objects.create(user=factories.create_user(), site=experiment.site, unix_name=unix_name)


def test_a_stop_of_a_run_from_outside_runs_as_the_owner(operator: User, from_outside: Experiment) -> None:
    enter(from_outside, "owner")
    assert request_action(make_request(operator, "stop", from_outside)).unix_name == "owner"


def test_a_stop_does_not_run_as_an_owner_who_is_not_entered_at_the_site(
    operator: User, from_outside: Experiment
) -> None:
    enter(from_outside, "ana")
    with pytest.raises(Conflict, match="belongs to owner, which is none of"):
        request_action(make_request(operator, "stop", from_outside))
    assert not Action.objects.exists()


@pytest.mark.parametrize("recorded", ["#0", "root", "daemon", "ana", "-u root"])
def test_a_stop_does_not_run_as_whom_the_database_of_the_store_names(
    recorded: str, operator: User, from_outside: Experiment
) -> None:
    enter(from_outside, "owner")
    Experiment.objects.update(recorded_owner=recorded)
    assert request_action(make_request(operator, "stop", from_outside)).unix_name == "owner"


@pytest.mark.parametrize(
    ("uid", "reason"), [(0, "superuser"), (None, "No folder was seen"), (NO_OWNER, "A link or a file")]
)
def test_a_stop_is_refused_where_the_folder_is_of_nobody(
    uid: int | None, reason: str, operator: User, from_outside: Experiment
) -> None:
    Experiment.objects.update(owner_uid=uid)
    from_outside.refresh_from_db()
    with pytest.raises(Conflict, match=reason):
        request_action(make_request(operator, "stop", from_outside))


def test_a_stop_runs_as_the_account_of_the_worker_where_the_folder_is_its(
    operator: User, from_outside: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: from_outside.owner_uid)
    assert request_action(make_request(operator, "stop", from_outside)).unix_name == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_that_was_given_away_meanwhile_is_not_acted_on_as_who_had_it(
    operator: User, tmp_path: Path, started_as: list[str]
) -> None:
    store = make_store(tmp_path, ["a000"])
    site = factories.create_store_site(store, run_as=RunAs.ACTOR)
    values = {"expid": "a000", "owner": "owner", "is_running": True}
    experiment = factories.create_experiment(site, **values)
    enter(experiment, "owner")
    enter(experiment, "ana")
    action = request_action(make_request(operator, "stop", experiment))
    os.chown(store.experiment_folder("a000"), pwd.getpwnam("ana").pw_uid, -1)
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, started_as) == (State.FAILED, [])
    assert "It was to run as owner, which has changed" in action.message


@pytest.mark.parametrize("name", ["#0", "root", "toor", "daemon", "no-such-account", "Ana"])
def test_an_account_that_is_none_is_refused_with_the_remedy(
    name: str, operator: User, ready: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = pwd.getpwnam
    monkeypatch.setattr(pwd, "getpwnam", lambda name: known("root" if name == "toor" else name))
    SiteAccount.objects.create(user=operator, site=ready.site, unix_name=name)
    with pytest.raises(Conflict, match="Correct it under “Accounts at sites”"):
        request_action(make_request(operator, "run", ready))


def test_an_account_that_only_the_site_knows_is_refused_with_what_the_portals_host_needs(
    operator: User, ready: Experiment
) -> None:
    SiteAccount.objects.create(user=operator, site=ready.site, unix_name="no-such-account")
    with pytest.raises(Conflict, match="The host of the portal needs the accounts of the site, with the same numbers"):
        request_action(make_request(operator, "run", ready))


def test_who_acts_for_somebody_acts_as_their_own_account(
    mapped: User, ready: Experiment, actor: Callable[..., User]
) -> None:
    colleague = actor(username="colleague")
    factories.create_delegation(mapped, colleague, role=Role.OPERATOR)
    SiteAccount.objects.create(user=colleague, site=ready.site, unix_name="ben")
    action = request_action(make_request(colleague, "run", ready))
    assert (action.on_behalf_of, action.unix_name) == ("operator", "ben")
