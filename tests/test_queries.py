"""What a page of the portal costs does not depend on how many rows there are: every address is asked.

The addresses are those of the URL configuration: a new route is covered by being there. One with a new kind of
variable part fails until `FILLED` says what to put there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLResolver, get_resolver, reverse
from django.urls.resolvers import RoutePattern

from autosubmit_portal.access.models import ApiToken, Delegation, SiteAccount, SitePolicy, SiteRole, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.addresses import FOLDERS, make_experiment_key, make_job_key, make_name_key
from experiments.catalogue.kinds import CREATE, GENERATE, SET_STATUS
from experiments.models import Action, Experiment, Freeze, Note, Run, Site, State
from jobs.models import Job, SavedView
from tests.support import factories
from tests.support.caches import forget_answers, forget_stamps

pytestmark = pytest.mark.one_database

VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
FILLED = {
    "expid": "a000",
    "key": "sso",
    "job": "a000_POST",
    "slug": "local",
    "run_id": "1",
    "row_id": "1",
    "step": "0",
    "log": "a000.out",
}
NUMBERED: dict[str, Any] = {
    "action_id": Action,
    "delegation_id": Delegation,
    "entry_id": AuditEntry,
    "freeze_id": Freeze,
    "note_id": Note,
    "site_id": Site,
    "view_id": SavedView,
}
# What is asked for in the console, by how the address of its page begins.
NAMES = {
    "experiments/<job_key": SET_STATUS.name,
    "experiments/<experiment_key": GENERATE.name,
    "sites/": CREATE.name,
    "jobs/": SET_STATUS.name,
}
LOG = "out"
MODELS = {folder: model.replace("/", ".") for model, folder in FOLDERS.items()}
# These only lead elsewhere, by rows of which there need be none.
LEFT_OUT = {"r/<path:content_type_id>/<path:object_id>/", "logout/"}
# What may be answered instead of the thing: it is elsewhere, nothing was chosen, GET is not offered, no store is there.
OTHERWISE = {302, 400, 403, 405, 409, 503}
OTHER_FORMS = (
    "/v4/experiments?page_size=500",
    "/v4/experiments?fields=name,active_action",
    "/v4/experiments?order_by=failed&page_size=3",
    "/v4/experiments/a000/jobs?page_size=1000",
    "/v4/experiments/a000/jobs/a000_POST/parents?include_status=true",
    "/v4/experiments/a000/runs?fields=run_id",
    "/v4/actions?page_size=500",
    "/v4/audit?format=jsonl",
    "/v4/audit?format=csv",
    "/experiments/?q=a",
    "/jobs/?q=a000",
    "/experiments/a000/jobs/?status=WAITING,FAILED&chunk=1-3,7&columns=name,finished&o=-finished.name",
    "/jobs/?finished=24h",
    "/search/?q=made",
    "/search/?q=a000_",
)
LISTS = ("/", "/experiments/", "/jobs/", "/v4/experiments", "/v4/actions", "/v4/audit")


def routes() -> Iterator[str]:
    """Yield every route once: many answer with and without the slash."""
    found = (route for route in _routes(get_resolver().url_patterns, "") if route not in LEFT_OUT)
    yield from dict.fromkeys(route if route in ("", "v4/") else route.rstrip("/") for route in found)


def _routes(patterns: list[Any], before: str) -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        elif isinstance(pattern.pattern, RoutePattern):
            yield route


def address_of(route: str) -> str:
    """Return an address of a route: that of the first rows there are."""
    slash = "" if route.startswith(("v4", "healthz", "metrics")) or not route else "/"
    return "/" + VARIABLE.sub(lambda match: _filled(route, match[1]), route) + slash


def _filled(route: str, variable: str) -> str:
    if variable == "object_id" and "row_name:" in route:
        return make_name_key(apps.get_model(MODELS[route.partition("/")[0]])._default_manager.order_by("pk")[0])
    if variable == "object_id" and "_key:" in route:
        return _keyed(route)
    if variable in ("object_id", "id"):
        return _numbered(apps.get_model(MODELS[route.partition("/")[0]]))
    match variable:
        case "token_id":
            return ApiToken.objects.earliest("created").token_key
        case "name":
            return LOG if "/log/" in route else next(name for way, name in NAMES.items() if route.startswith(way))
    return _numbered(NUMBERED[variable]) if variable in NUMBERED else FILLED[variable]


def _keyed(route: str) -> str:
    if "job_key:" in route:
        return make_job_key(Job.objects.order_by("pk")[0])
    return make_experiment_key(Experiment.objects.order_by("pk")[0])


def _numbered(model: Any) -> str:
    return str(model._default_manager.order_by("pk")[0].pk)


def create_rows(user: User) -> Experiment:
    """Create one row of everything."""
    site = factories.create_site(slug="local", is_default=True)
    experiment = factories.create_experiment(site, expid="a000", status_counts={"WAITING": 1})
    factories.create_job(experiment, "a000_POST")
    for number in (1, 2):  # two can be compared
        factories.create_run(experiment, run_id=number)
    factories.create_action(experiment, state=State.SUCCEEDED)
    factories.create_freeze(site, platform="MN5")
    factories.create_note(experiment, job_name="a000_POST")
    factories.create_delegation(user, factories.create_user())
    SavedView.objects.create(user=user, name="failed", query="status=FAILED")
    factories.create_token(user)
    factories.create_worker()
    factories.create_failed_sign_in()
    create_rights(user, experiment)
    AuditEntry.objects.create(event="x", door="api")
    return experiment


@pytest.fixture
def rows(admin_user: User) -> Experiment:
    """One row of everything, for other files."""
    return create_rows(admin_user)


def create_rights(user: User, experiment: Experiment) -> None:
    """Create a team with everything that a team has, and rights at the site."""
    team = factories.create_team((user, Role.VIEWER), covers={"owner": "ana"})
    team.experiments.add(experiment)
    factories.create_invitation(team, user)
    SiteRole.objects.create(user=user, site=experiment.site, role=Role.VIEWER)
    SiteAccount.objects.create(user=user, site=experiment.site, unix_name="ana")
    SitePolicy.objects.get_or_create(site=experiment.site)


def multiply(experiment: Experiment) -> None:
    """Add rows of everything: others, and more that belong to the first ones."""
    for number in range(6):
        site = factories.create_site()
        other = factories.create_experiment(experiment.site, is_running=number % 2 == 0)
        factories.create_job(factories.create_experiment(site))
        factories.create_action(other)
        factories.create_action(experiment, state=State.FAILED)
        factories.create_run(experiment)
        factories.create_run(other)
        post = Job.objects.get(name="a000_POST")
        factories.create_dependency(factories.create_job(experiment, status="FAILED"), post)
        factories.create_dependency(post, factories.create_job(experiment))
        user = factories.create_user()
        user.groups.add(Group.objects.create(name=f"group {number}"))
        factories.create_token(user)
        factories.create_worker()
        factories.create_failed_sign_in()
        factories.create_freeze(experiment.site, platform=f"HPC{number}")
        factories.create_delegation(user, factories.create_user(), experiment=other)
        create_rights(user, other)
        factories.create_invitation(Team.objects.earliest("pk"), user)
        SitePolicy.objects.create(site=site)
        AuditEntry.objects.create(event=f"x.{number}", door="api", expid="a000", action_id=number)
        SavedView.objects.create(
            user=SavedView.objects.earliest("pk").user, name=f"failed {number}", query="status=FAILED"
        )


Cost = tuple[int, list[str]]


def cost(user: User, address: str) -> Cost:
    """Return the status of the answer and the statements that it took, streams to their end.

    It is asked for twice, since what is kept between requests, such as content types, is learnt by the first one.
    """
    client = Client()
    client.force_login(user)
    for _ in range(2):
        forget_answers()
        forget_stamps()
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
            b"".join(answer) if answer.streaming else answer.content
    return answer.status_code, [query["sql"] for query in captured]


@dataclass(frozen=True)
class Asked:
    """Who asks, and what each route or list cost them while there was one row of everything. There are many now."""

    admin: User
    member: User
    admin_paid: dict[str, Cost]
    member_paid: dict[str, Cost]


@pytest.fixture(scope="module")
def asked(module_db: None) -> Asked:
    admin, member = factories.create_user(is_superuser=True, is_staff=True), factories.create_user()
    experiment = create_rows(admin)
    for conditions in ({"site": experiment.site}, {"owner": "ana"}, {"expid_pattern": "a*"}):
        factories.create_team((member, Role.MANAGER), covers=conditions).experiments.add(experiment)
    addresses = {route: address_of(route) for route in routes()} | {form: form for form in OTHER_FORMS}
    made = Asked(admin, member, pay(admin, addresses), pay(member, {each: each for each in LISTS}))
    multiply(experiment)
    factories.create_team((member, Role.VIEWER), covers={"hpc": "MN5"})
    return made


def pay(user: User, addresses: dict[str, str]) -> dict[str, Cost]:
    """Return by name what addresses cost somebody; what is changed by asking is undone."""
    with transaction.atomic():
        paid = {name: cost(user, address) for name, address in addresses.items()}
        transaction.set_rollback(True)
    return paid


@pytest.mark.parametrize("route", list(routes()))
def test_no_page_asks_more_of_the_database_when_there_are_more_rows(db: None, asked: Asked, route: str) -> None:
    address = address_of(route)
    status, statements = cost(asked.admin, address)
    status_before, statements_before = asked.admin_paid[route]
    assert status == status_before
    assert status == 200 or status in OTHERWISE or (status == 404 and "/log" in route), address
    assert len(statements) == len(statements_before), "\n".join(sql[:200] for sql in statements)


@pytest.mark.parametrize("address", OTHER_FORMS)
def test_no_list_asks_more_in_its_other_forms(db: None, asked: Asked, address: str) -> None:
    status, statements = cost(asked.admin, address)
    assert status == 200
    assert len(statements) == len(asked.admin_paid[address][1]), "\n".join(sql[:200] for sql in statements)


@pytest.mark.parametrize("address", LISTS)
def test_no_list_asks_more_of_the_database_for_a_member_of_teams(db: None, asked: Asked, address: str) -> None:
    status, statements = cost(asked.member, address)
    assert status == 200
    assert len(statements) == len(asked.member_paid[address][1]), "\n".join(sql[:200] for sql in statements)


def test_every_list_of_the_console_is_among_the_routes() -> None:
    found = set(routes())
    models = (Experiment, Job, Run, Action, AuditEntry, User, Group)
    lists = (reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in models)
    assert found >= {address.strip("/") for address in lists}
