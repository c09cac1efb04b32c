"""What the pages of the API and OPTIONS offer to whom: both the same, and nothing that would be refused."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.access.models import SiteAccount, SitePolicy
from autosubmit_portal.access.roles import Role
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, State
from tests.api.test_browsable import forms
from tests.support import factories

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

# What each may request, by the pages on which they find it.
OPERATES = {
    "/v4/experiments/a000": {"run", "stop", "restart", "reset_and_start", "update_description"},
    "/v4/experiments/a000/jobs": {"set_status", "set_status_live"},
    "/v4/experiments/a000/jobs/a000_POST": {"set_status", "set_status_live"},
}
MANAGES = OPERATES | {"/v4/experiments/a000": OPERATES["/v4/experiments/a000"] | {"generate"}}
CREATES = {"/v4/experiments": {"create"}}
PAGES = (*OPERATES, *CREATES)
PEOPLE: dict[str, dict[str, set[str]]] = {
    "bare": {},
    "viewer": {},
    "auditor": {},
    "stranger": CREATES,
    "operator": OPERATES,
    "owner": OPERATES,
    "borrower": OPERATES,
    "late borrower": {},
    "operator of the team": OPERATES,
    "manager of the team": MANAGES | CREATES,
    "manager": MANAGES | CREATES,
    "root": MANAGES | CREATES,
}


@pytest.fixture
def person(experiment: Experiment) -> Callable[[str], User]:
    """Make somebody who has, or has not, to do with the experiment."""

    def make(who: str) -> User:
        made = factories.create_user(username=who, is_superuser=who == "root")
        match who.split():
            case ["viewer" | "operator" | "manager" as role, *_]:
                give(made, Role[role.upper()], experiment, in_team="team" in who)
            case ["auditor"]:
                made.user_permissions.add(Permission.objects.get(codename="view_auditentry"))
            case ["stranger"]:
                factories.create_team((made, Role.MANAGER), covers={"expid_pattern": "z*"})
            case ["owner"]:
                SiteAccount.objects.create(user=made, site=experiment.site, unix_name="ana")
                SitePolicy.objects.create(site=experiment.site, owner_role=Role.OPERATOR)
            case [*_, "borrower"]:
                ended = {"ends_at": timezone.now() - timedelta(hours=1)} if "late" in who else {}
                factories.create_delegation(factories.create_user(Role.MANAGER), made, **ended)
        return made

    return make


def give(user: User, role: Role, experiment: Experiment, *, in_team: bool) -> None:
    """Give somebody a role everywhere, or in a team that covers the site of the experiment."""
    if in_team:
        factories.create_team((user, role), covers={"site": experiment.site})
    else:
        user.groups.set(factories.create_user(role).groups.all())


def offered_by_pages(client: Client, page: str) -> set[str]:
    """Return the kinds of actions for which a page has a form."""
    return {name.rpartition("-")[2] for name in forms(client, page)} & {*CATALOGUE}


def offered_by_options(client: APIClient, page: str) -> set[str]:
    """Return the kinds of actions whose bodies OPTIONS tells."""
    told: dict[str, dict[str, Any]] = client.options(page).json()["actions"]
    return {name for bodies in told.values() for name in bodies} & {*CATALOGUE}


@pytest.mark.parametrize("who", PEOPLE)
def test_pages_have_the_forms_of_what_a_person_may_do(
    as_person: Callable[[User], Client], person: Callable[[str], User], who: str
) -> None:
    client = as_person(person(who))
    found = {page: offered_by_pages(client, page) for page in PAGES}
    assert {page: kinds for page, kinds in found.items() if kinds} == PEOPLE[who]


@pytest.mark.parametrize("who", PEOPLE)
def test_options_tells_the_bodies_of_what_a_person_may_do(
    api: Callable[[User], APIClient], person: Callable[[str], User], who: str
) -> None:
    client = api(person(who))
    found = {page: offered_by_options(client, page) for page in PAGES}
    assert {page: kinds for page, kinds in found.items() if kinds} == PEOPLE[who]


OF_AN_ACTION: dict[str, set[str]] = {
    "viewer": set(),
    "auditor": set(),
    "asker": {"cancel"},
    "operator": {"cancel", "approve", "reject"},
    "borrower": {"cancel", "approve", "reject"},
    "manager of the team": {"cancel", "approve", "reject"},
}


@pytest.mark.parametrize("who", OF_AN_ACTION)
def test_the_page_of_an_action_that_waits_has_what_a_person_may_do_with_it(
    as_person: Callable[[User], Client], operator: User, person: Callable[[str], User], experiment: Experiment, who: str
) -> None:
    action = waiting_action(experiment, operator)
    client = as_person(operator if who == "asker" else person(f"{who} 2" if who == "operator" else who))
    assert forms(client, f"/v4/actions/{action.pk}") == OF_AN_ACTION[who]


def waiting_action(experiment: Experiment, actor: User) -> Action:
    """Make an action that waits for a second person."""
    return factories.create_action(experiment, actor=actor, state=State.AWAITING_APPROVAL)


@pytest.mark.parametrize("who", ["viewer", "operator", "manager"])
def test_many_experiments_are_asked_for_what_a_person_may_do(
    as_person: Callable[[User], Client], api: Callable[[User], APIClient], person: Callable[[str], User], who: str
) -> None:
    user = person(who)
    expected: set[str] = set().union(*PEOPLE[who].values()) - {"create"}
    page = as_person(user).get("/v4/actions").content.decode()
    chosen = page.partition('id="create-kind"')[2].partition("</select>")[0]
    assert {*re.findall(r'value="([a-z_]+)"', chosen)} == expected
    told = api(user).options("/v4/actions").json()["actions"]
    assert {one["value"] for one in told.get("POST", {"kind": {"choices": []}})["kind"]["choices"]} == expected


@pytest.mark.parametrize(("who", "found"), [("viewer", set()), ("operator", set()), ("manager", {"destroy"})])
def test_who_may_end_a_freeze_finds_the_form(
    as_person: Callable[[User], Client],
    person: Callable[[str], User],
    experiment: Experiment,
    who: str,
    found: set[str],
) -> None:
    freeze = factories.create_freeze(experiment.site)
    client = as_person(person(who))
    assert forms(client, f"/v4/freezes/{freeze.pk}") == found
    assert forms(client, "/v4/freezes") == ({"create"} if found else set())


@pytest.mark.parametrize(("who", "found"), [("lender", {"destroy"}), ("borrower", set())])
def test_who_lent_finds_the_form_to_take_it_back(
    as_person: Callable[[User], Client], db: None, who: str, found: set[str]
) -> None:
    people = {name: factories.create_user(Role.OPERATOR) for name in ("lender", "borrower")}
    lent = factories.create_delegation(*people.values())
    assert forms(as_person(people[who]), f"/v4/delegations/{lent.pk}") == found


@pytest.mark.parametrize("path", ["/v4/experiments/a000", "/v4/experiments/a000/jobs", "/v4/actions", "/v4/freezes"])
def test_options_tells_a_viewer_no_parameter_of_a_change(
    api: Callable[[User], APIClient], viewer: User, experiment: Experiment, path: str
) -> None:
    told = api(viewer).options(path).json()
    assert (told["actions"], {*told["parameters"]} - {"HEAD"}) == ({}, {"GET"})
