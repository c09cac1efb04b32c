"""Which Autosubmit the commands of an experiment are of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from autosubmit_portal.access.models import SiteRole
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments import hosts, own_gateway, programs
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.follow import follow
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State
from tests.support import factories
from tests.support.services import kill_processes_of
from tests.support.stand_in import StandIn, write_stand_in
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

NAMED = {"old": "4.0.110", "four": "4.1", "next": "4.2.0"}


@pytest.mark.parametrize(
    ("version", "chosen", "default", "name"),
    [
        ("4.0.110", "", "", "old"),
        ("4.1.11", "", "", "four"),
        ("4.1.17.1", "", "", ""),  # the usual one is of this very version
        ("4.10.0", "", "", ""),
        ("3.13.0", "", "", ""),
        ("3.13.0", "", "next", "next"),
        ("4.0.110", "next", "old", "next"),
        ("", "", "old", "old"),
    ],
)
def test_an_experiment_has_the_chosen_program_or_that_of_its_version_or_the_default(
    version: str, chosen: str, default: str, name: str
) -> None:
    site = Site(autosubmit_version="4.1.17.1", program=default)
    experiment = Experiment(site=site, version=version, program=chosen)
    assert programs.choose(experiment, NAMED).name == name


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An Autosubmit, and another one, which the file of the site calls `other`; both say which one they are."""
    made = StandIn.install(tmp_path)
    other = write_stand_in(tmp_path / "other")
    other.write_text(other.read_text().replace("output of", "another output of"))
    write = own_gateway._write

    def write_with_programs(file: Path, said: dict[str, Any]) -> Path:
        named = {"other": {"version": "4.1.17.1", "program": str(other)}, "third": {"version": "3", "program": "/no"}}
        return write(file, said | ({"programs": named} if "kinds" in said else {}))

    monkeypatch.setattr(own_gateway, "_write", write_with_programs)
    yield made
    kill_processes_of(made.home)


@pytest.fixture
def experiment(stand_in: StandIn) -> Experiment:
    site = factories.create_site(slug="es", autosubmit=str(stand_in.program), home=str(stand_in.home))
    adopted = sync.adopt(site, stand_in.make_experiment())
    assert adopted is not None
    hosts.refresh_rules(site.hosts.all())
    return adopted


def do(experiment: Experiment, actor: User, kind: str, **parameters: Any) -> tuple[Action, str]:
    """Have an action done, and return it with the first line that its command printed."""
    is_new = kind == "create"
    request = ActionRequest(
        kind=CATALOGUE[kind],
        site=experiment.site,
        experiment=None if is_new else experiment,
        parameters=parameters,
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
    )
    action = request_action(request)
    execute(action.pk)
    wait_for(lambda: follow(Action.objects.get(pk=action.pk)))
    action.refresh_from_db()
    step = action.steps.first()
    return action, bytes(step.kept_output).decode().partition("\n")[0] if step else ""


@pytest.mark.parametrize(
    ("kind", "parameters", "begins"),
    [
        ("update_description", {"description": "x"}, "another output"),  # that of its version
        ("create", {"description": "x"}, "output"),
        ("create", {"description": "x", "program": "other"}, "another output"),
    ],
)
def test_a_command_is_of_the_program_of_its_experiment(
    experiment: Experiment, manager: User, kind: str, parameters: dict[str, Any], begins: str
) -> None:
    action, printed = do(experiment, manager, kind, **parameters)
    assert (action.state, printed.startswith(begins)) == (State.SUCCEEDED, True), (action.message, printed)
    assert not any("other" in word for argv in action.command for word in argv)


def test_a_program_that_the_site_has_not_any_more_fails_with_those_that_it_has(
    experiment: Experiment, manager: User
) -> None:
    Experiment.objects.update(program="gone")
    experiment.refresh_from_db()
    action, _ = do(experiment, manager, "update_description", description="x")
    assert action.state == State.FAILED
    assert "no program 'gone'. There are: other, third." in action.message


# --- Choosing


def as_person(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def route(experiment: Experiment) -> str:
    return f"/v4/experiments/{experiment.expid}/program"


def test_everybody_sees_which_program_it_is_and_why(viewer: User, experiment: Experiment) -> None:
    assert as_person(viewer).get(route(experiment)).json() == {
        "expid": experiment.expid,
        "site": "es",
        "chosen": "",
        "program": "other",
        "why": "of version 4.1.17.1",
        "programs": {"other": "4.1.17.1", "third": "3"},
    }


def test_a_manager_chooses_and_the_trail_has_it_once(manager: User, experiment: Experiment) -> None:
    for _ in range(2):
        answer = as_person(manager).post(route(experiment), {"program": "third"}, format="json")
    assert (answer.status_code, answer.json()["program"]) == (200, "third")
    entry = AuditEntry.objects.get(event="experiment.program_chosen")
    assert (entry.expid, entry.details) == (experiment.expid, {"program": ["", "third"]})


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are(manager: User, experiment: Experiment) -> None:
    answer = as_person(manager).post(route(experiment), {"program": "/bin/sh"}, format="json")
    assert answer.status_code == 400
    assert "There are: other (4.1.17.1), third (3)." in json.dumps(answer.json())
    assert AuditEntry.objects.filter(event="experiment.program_refused").exists()


def test_an_operator_does_not_choose(operator: User, experiment: Experiment) -> None:
    assert as_person(operator).post(route(experiment), {"program": "third"}, format="json").status_code == 403


def test_the_manager_of_the_site_chooses_on_its_page(client: Client, experiment: Experiment) -> None:
    person = factories.create_user()
    SiteRole.objects.create(user=person, site=experiment.site, role=Role.MANAGER)
    client.force_login(person)
    page = f"/experiments/~{experiment.pk}/"
    assert "third (3)" in client.get(page).content.decode()
    client.post(f"/experiments/~{experiment.pk}/program/", {"program": "third"})
    experiment.refresh_from_db()
    assert experiment.program == "third"


def test_who_may_not_choose_sees_no_form(client: Client, experiment: Experiment, operator: User) -> None:
    client.force_login(operator)
    page = client.get(f"/experiments/~{experiment.pk}/").content.decode()
    assert "of version 4.1.17.1" in page
    assert 'name="program"' not in page


def test_a_default_that_the_site_has_not_is_refused_on_its_page(client: Client, experiment: Experiment) -> None:
    client.force_login(factories.create_administrator())
    site = experiment.site
    answer = client.post(f"/sites/{site.pk}/change/", {"program": "nine", "name": "ES"})
    assert "has no program “nine”" in answer.content.decode()
