"""Who may do what: every role from every source, every action kind, through every door, each cell held to this table.

The table is written by hand, not derived from the policy: Y is done, n is refused with 403, H is hidden as if it were
not there. A kind has the column of its own name, if there is one, and else that of its least role. Somebody without any
role gets n from the API, and is not let into the console at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from autosubmit_portal.access.models import SiteAccount, SitePolicy, SiteRole
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.models import Action, Experiment, State
from tests.console.pages import filled, form_of, make_possible
from tests.support import factories
from tests.support.identity_provider import Provider
from tests.support.kinds import body_of, route_of

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

TABLE = """
                          viewer operator manager create
nothing                   n      n        n       n

team viewer               Y      n        n       n
team operator             Y      Y        n       n
team manager              Y      Y        Y       Y

picked viewer             Y      n        n       n
picked operator           Y      Y        n       n
picked manager            Y      Y        Y       Y

beside viewer             H      H        H       n
beside operator           H      H        H       n
beside manager            H      H        H       Y

foreign viewer            H      H        H       H
foreign operator          H      H        H       H
foreign manager           H      H        H       H

owner viewer              Y      n        n       n
owner operator            Y      Y        n       n
owner manager             Y      Y        Y       n

site viewer               Y      n        n       n
site operator             Y      Y        n       n
site manager              Y      Y        Y       Y

othersite viewer          H      H        H       H
othersite operator        H      H        H       H
othersite manager         H      H        H       H

everywhere viewer         Y      n        n       n
everywhere operator       Y      Y        n       n
everywhere manager        Y      Y        Y       Y
"""
_HEADER, *_LINES = (line for line in TABLE.splitlines() if line)
COLUMNS = _HEADER.split()
ROWS = {line[:26].strip(): dict(zip(COLUMNS, line[26:].split(), strict=True)) for line in _LINES}
KINDS = list(CATALOGUE.values())
OF_EXPERIMENTS = [kind for kind in KINDS if kind.target is not Target.SITE]
OF_JOBS = [kind for kind in KINDS if kind.target is Target.JOBS]
STATUS = {"status": "READY"}


@dataclass
class World:
    """An experiment with a job at a site, which others can reach as well, and the account that is tried."""

    experiment: Experiment
    elsewhere: Experiment
    user: User
    provider: Provider


@pytest.fixture
def world(db: None, provider: Provider) -> World:
    """The experiment is ana's; another one is at another site. The account is one of the identity provider."""
    site = factories.create_site(slug="local", is_default=True)
    experiment = factories.create_experiment(site, expid="a000", owner="ana")
    factories.create_job(experiment, "a000_SIM")
    elsewhere = factories.create_experiment(expid="b000")
    ben = factories.create_user(username="ben")
    subject = provider.know("ben").get_user_id()
    SocialAccount.objects.create(user=ben, provider=provider.settings.source, uid=subject)
    return World(experiment, elsewhere, ben, provider)


def give(world: World, source: str, role: Role | None) -> None:
    """Give the account its role, from where the row of the table says."""
    site, user = world.experiment.site, world.user
    members = [(user, role)] if role else []
    match source:
        case "team":
            factories.create_team(*members, covers={"site": site, "expid_pattern": "a*"})
        case "picked":
            factories.create_team(*members).experiments.add(world.experiment)
        case "beside":
            factories.create_team(*members, covers={"site": site, "owner": "somebody else"})
        case "foreign":
            factories.create_team(*members, covers={"site": world.elsewhere.site})
            factories.create_team(covers={"site": site})
        case "owner":
            SiteAccount.objects.create(user=user, site=site, unix_name="ana")
            SitePolicy.objects.create(site=site, owner_role=role)
        case "site" | "othersite":
            at = site if source == "site" else world.elsewhere.site
            SiteRole.objects.create(user=user, site=at, role=role)
        case "everywhere":
            user.groups.add(Group.objects.get(name=role.title if role else ""))


# --- The doors: each asks for one kind and tells what came of it


def from_api(client: APIClient, world: World, kind: ActionKind) -> str:
    method, address = route_of(kind)
    body = {**body_of(kind, ["a000_SIM"]), "reason": "A test"}
    answer = getattr(client, method)(address, body, format="json")
    hidden = 400 if kind.target is Target.SITE else 404
    return {202: "Y", 403: "n", hidden: "H"}.get(answer.status_code, str(answer.status_code))


def by_session(world: World, kind: ActionKind) -> str:
    client = APIClient()
    client.force_login(world.user)
    return from_api(client, world, kind)


def by_token(world: World, kind: ActionKind) -> str:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {factories.create_token(world.user)}")
    return from_api(client, world, kind)


def by_oidc(world: World, kind: ActionKind) -> str:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {world.provider.access_token('ben')}")
    return from_api(client, world, kind)


def by_bulk(world: World, kind: ActionKind) -> str:
    client = APIClient()
    client.force_login(world.user)
    of_jobs = {"jobs": ["a000_SIM"]} if kind in OF_JOBS else {}
    body = {
        "kind": kind.name,
        "reason": "A test",
        "targets": [{"expid": "a000", **of_jobs}],
        "parameters": filled(kind),
    }
    result = client.post("/v4/actions", body, format="json").json()["results"][0]
    return {202: "Y", 403: "n", 404: "H"}.get(result["status"], str(result))


def from_console(world: World, address: str, form: Mapping[str, Any]) -> str:
    client = Client()
    client.force_login(world.user)
    answer = client.post(address, {**form, "reason": "A test"})
    if answer.status_code == 302:
        return "out" if answer["Location"].startswith("/login/") else "Y"
    return {403: "n", 404: "H"}.get(answer.status_code, str(answer.status_code))


def by_button(world: World, kind: ActionKind) -> str:
    job = world.experiment.jobs.get()
    return from_console(world, form_of(kind, job), STATUS if kind in OF_JOBS else filled(kind))


def by_selection(world: World, kind: ActionKind) -> str:
    selection = str(world.experiment.jobs.get().pk)
    address = reverse("admin:jobs_job_bulk", args=[kind.name])
    return from_console(world, address, {"selection": selection, **STATUS})


def by_command(world: World, kind: ActionKind) -> str:
    target = "local" if kind.target is Target.SITE else "a000"
    try:
        call_command("why-cant", "ben", kind.name, target, verbosity=0)
    except CommandError:
        return "n"
    return "Y"


DOORS: dict[str, tuple[Callable[[World, ActionKind], str], list[ActionKind]]] = {
    "API session": (by_session, KINDS),
    "API token": (by_token, KINDS),
    "OIDC bearer": (by_oidc, KINDS),
    "API bulk": (by_bulk, OF_EXPERIMENTS),
    "admin button": (by_button, KINDS),
    "admin bulk": (by_selection, OF_JOBS),
    "command line": (by_command, KINDS),
}


def column_of(kind: ActionKind) -> str:
    return kind.name if kind.name in COLUMNS else kind.role.name.lower()


def expected(row: str, door: str, kind: ActionKind) -> str:
    """Return the cell, in the words of the door: the console lets nobody without a role in, a command hides nothing."""
    cell = ROWS[row][column_of(kind)]
    if row == "nothing" and door.startswith("admin"):
        return "out"
    return "n" if door == "command line" and cell == "H" else cell


def test_the_table_has_a_column_for_each_role_and_for_kinds_that_differ() -> None:
    roles = [role.name.lower() for role in Role]
    assert COLUMNS[: len(roles)] == roles
    assert CATALOGUE.keys() >= {*COLUMNS[len(roles) :]}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("row", ROWS)
def test_a_role_does_through_a_door_what_the_table_says(world: World, row: str, door: str) -> None:
    source, _, role = row.partition(" ")
    give(world, source, Role[role.upper()] if role else None)
    ask, kinds = DOORS[door]
    found = {}
    for kind in kinds:
        make_possible(kind, world.experiment)
        found[kind.name] = ask(world, kind)
        Action.objects.update(state=State.SUCCEEDED)
    assert found == {kind.name: expected(row, door, kind) for kind in kinds}


def test_what_was_refused_is_in_the_trail(world: World) -> None:
    give(world, "team", Role.VIEWER)
    for kind in KINDS:
        by_session(world, kind)
    refused = AuditEntry.objects.filter(event="action.refused", actor_name="ben")
    assert sorted(refused.values_list("kind", flat=True)) == sorted(CATALOGUE)
