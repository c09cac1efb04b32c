"""Who gets what from every address of the portal: the URL configuration is walked, and an unknown route fails.

Each row says what four people get: nobody who has signed in, an account without any role (`bare`), a viewer in a team
that covers other experiments (`stranger`), and a viewer in the team that covers a000 (`viewer`). 302 is the way to the
sign-in for the first two, and elsewhere a redirect inside of the console.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken, Delegation, SiteAccount, SitePolicy, SiteRole, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, Freeze, Run, State
from jobs.models import Job, SavedView
from tests.support import factories
from tests.test_queries import address_of
from tests.tools.api_fuzz import tables

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

TOMORROW = (timezone.now() + timedelta(days=1)).isoformat()
FORM = "application/x-www-form-urlencoded"
PEOPLE = ("anonymous", "bare", "stranger", "viewer")
API = "v4/experiments/<name:expid>"
TABLE = f"""
GET   healthz                                     200 200 200 200
GET   metrics                                     401 403 403 403
GET   v4                                          401 200 200 200
GET   v4/                                         401 200 200 200
GET   v4/schema                                   401 200 200 200
GET   v4/docs                                     401 200 200 200
GET   v4/experiments                              401 403 200 200
POST  v4/experiments                              401 403 403 403
GET   {API}                                       401 403 404 200
POST  {API}                                       401 403 404 403
PATCH {API}                                       401 403 404 403
GET   {API}/permissions                           401 403 404 200
GET   {API}/program                               401 403 404 200
POST  {API}/program                               401 403 404 403
GET   {API}/runs                                  401 403 404 200
GET   {API}/runs/<int:run_id>/config              401 403 404 503
GET   {API}/runs/<int:run_id>/user-metrics        401 403 404 503
GET   {API}/user-metrics-runs                     401 403 404 503
GET   {API}/filesystem-config                     401 403 404 409
GET   {API}/notes                                 401 403 404 200
POST  {API}/notes                                 401 403 404 403
GET   {API}/notes/<int:note_id>                   401 403 404 200
DELETE {API}/notes/<int:note_id>                  401 403 404 403
GET   {API}/jobs/<job:job>/notes                  401 403 404 200
POST  {API}/jobs/<job:job>/notes                  401 403 404 403
GET   {API}/jobs/<job:job>/notes/<int:note_id>    401 403 404 200
DELETE {API}/jobs/<job:job>/notes/<int:note_id>   401 403 404 403
GET   {API}/wrappers                              401 403 404 200
GET   {API}/eta                                   401 403 404 400
GET   {API}/performance                           401 403 404 503
GET   {API}/jobs                                  401 403 404 200
PATCH {API}/jobs                                  401 403 404 403
GET   {API}/jobs/<job:job>                       401 403 404 200
PATCH {API}/jobs/<job:job>                       401 403 404 403
GET   {API}/jobs/<job:job>/parents               401 403 404 200
GET   {API}/jobs/<job:job>/children              401 403 404 200
GET   {API}/jobs/<job:job>/failure               401 403 404 200
GET   {API}/jobs/<job:job>/logs                  401 403 404 503
GET   {API}/jobs/<job:job>/logs/<name:log>       401 403 404 503
GET   {API}/logs                                  401 403 404 503
GET   {API}/logs/<name:log>                       401 403 404 503
GET   v4/actions                                  401 403 200 200
POST  v4/actions                                  401 400 400 400
GET   v4/actions/<int:action_id>                  401 403 404 200
GET   v4/actions/<int:action_id>/output           401 403 404 200
POST  v4/actions/<int:action_id>/cancel           401 403 404 403
POST  v4/actions/<int:action_id>/call-lost        401 403 404 403
POST  v4/actions/<int:action_id>/approve          401 403 404 403
POST  v4/actions/<int:action_id>/reject           401 403 404 403
GET   v4/audit                                    401 403 403 403
GET   v4/audit/<int:entry_id>                     401 403 403 403
GET   v4/tokens                                   401 200 200 200
POST  v4/tokens                                   401 400 400 400
GET   v4/tokens/<name:token_id>                   401 404 404 404
DELETE v4/tokens/<name:token_id>                  401 404 404 404
GET   v4/auth/verify-token                        401 200 200 200
GET   v4/delegations                              401 200 200 200
POST  v4/delegations                              401 400 400 400
GET   v4/delegations/<int:delegation_id>          401 404 404 404
DELETE v4/delegations/<int:delegation_id>         401 404 404 404
GET   v4/freezes                                  401 403 200 200
POST  v4/freezes                                  401 403 403 403
GET   v4/freezes/<int:freeze_id>                  401 403 404 200
DELETE v4/freezes/<int:freeze_id>                 401 403 404 403
GET   v4/sites                                    401 403 200 200
GET   v4/sites/<name:slug>                        401 403 404 200
POST  v4/sites/<name:slug>/call-empty             401 403 404 400

GET   health                                      302 302 403 403
GET   shift                                       302 302 200 200
GET   activity                                    302 302 200 200
GET   preferences                                 302 302 200 200
GET   search                                      302 302 200 200
GET   search/offers                               302 302 200 200
GET   search/experiments/<int:site_id>            302 302 404 200
GET   admin                                       302 302 200 200
GET   .                                           302 302 200 200
GET   login                                       200 200 302 302
GET   login/<slug:key>                            302 302 302 302
GET   login/<slug:key>/callback                   302 302 302 302
GET   login/code                                  302 302 302 302
GET   second-factor                               302 200 200 200
GET   invitation                                  200 200 200 200
POST  invitation                                  404 404 404 404
GET   invitation/join                             405 405 405 405
POST  invitation/join                             302 302 302 302
GET   invitation/account                          405 405 405 405
POST  invitation/account                          302 302 302 302
GET   logout                                      302 302 405 405
GET   password_change                             302 302 200 200
GET   password_change/done                        302 302 200 200
GET   autocomplete                                302 302 403 403
GET   jsi18n                                      302 302 200 200
GET   r/<path:content_type_id>/<path:object_id>   302 302 404 404

GET   experiments                                       302 302 200 200
GET   experiments/<experiment_key:object_id>                      302 302 404 200
POST  experiments/<experiment_key:object_id>                             302 302 404 403
GET   experiments/<experiment_key:object_id>/configuration         302 302 404 200
GET   experiments/<experiment_key:object_id>/logs                        302 302 404 200
GET   experiments/<experiment_key:object_id>/runs                        302 302 404 200
GET   experiments/<experiment_key:object_id>/activity                    302 302 404 200
POST  experiments/<experiment_key:object_id>/notes                       302 302 404 302
POST  experiments/<experiment_key:object_id>/notes/<int:note_id>/remove  302 302 404 302
GET   experiments/<experiment_key:object_id>/grid                  302 302 404 200
GET   experiments/<experiment_key:object_id>/grid/data             302 302 404 200
GET   experiments/<experiment_key:object_id>/graph                 302 302 404 200
GET   experiments/<experiment_key:object_id>/graph/data            302 302 404 200
GET   experiments/<experiment_key:object_id>/performance           302 302 404 200
GET   experiments/<experiment_key:object_id>/user-metrics          302 302 404 200
GET   experiments/<experiment_key:object_id>/access                302 302 404 200
GET   experiments/<experiment_key:object_id>/compare               302 302 404 200
GET   experiments/<experiment_key:object_id>/timeline              302 302 404 200
GET   experiments/<experiment_key:object_id>/timeline/data         302 302 404 200
POST  experiments/<experiment_key:object_id>/program                     302 302 404 302
GET   experiments/<experiment_key:object_id>/log/<str:name>        302 302 404 404
GET   experiments/<experiment_key:object_id>/request/<str:name>    302 302 404 403
POST  experiments/<experiment_key:object_id>/request/<str:name>          302 302 404 403
POST  experiments/<experiment_key:object_id>/request/<str:name>/preview  302 302 404 200
GET   experiments/<experiment_key:object_id>/jobs                        302 302 404 200
GET   jobs                                                     302 302 200 200
POST  jobs                                                               302 302 200 200
GET   experiments/<job_key:object_id>                             302 302 404 200
GET   experiments/<job_key:object_id>/log/<str:name>                      302 302 404 404
GET   experiments/<job_key:object_id>/why                                 302 302 404 200
GET   experiments/<job_key:object_id>/request/<str:name>                  302 302 404 403
POST  experiments/<job_key:object_id>/request/<str:name>                 302 302 404 403
POST  experiments/<job_key:object_id>/request/<str:name>/preview         302 302 404 200
GET   jobs/request/<str:name>                                  302 302 302 302
POST  jobs/request/<str:name>/form                                       302 302 404 403
POST  jobs/request/<str:name>                                            302 302 404 403
POST  jobs/request/<str:name>/preview                                    302 302 404 200
POST  jobs/views                                                         302 302 302 302
POST  jobs/views/<int:view_id>/remove                                    302 302 404 404
GET   runs                                              302 302 200 200
GET   runs/<int:object_id>                      302 302 404 200
GET   actions                                           302 302 200 200
GET   actions/<int:object_id>                   302 302 404 200
GET   actions/<int:object_id>/output/<int:step>         302 302 404 200
POST  actions/<int:object_id>/cancel                                     302 302 404 302
POST  actions/<int:object_id>/call-lost                                  302 302 404 302
POST  actions/<int:object_id>/approve                                    302 302 404 302
POST  actions/<int:object_id>/reject                                     302 302 404 302

GET   freezes                                           302 302 200 200
GET   freezes/add                                       302 302 403 403
POST  freezes/add                                                        302 302 403 403
GET   freezes/<int:object_id>                   302 302 404 200
POST  freezes/<int:object_id>                                            302 302 404 403
POST  freezes/<int:object_id>/end                                        302 302 404 302

GET   sites                                             302 302 200 200
GET   sites/add                                         302 302 403 403
POST  sites/add                                                          302 302 403 403
GET   sites/<path:object_id>/change                     302 302 404 200
POST  sites/<path:object_id>/change                                      302 302 403 403
GET   sites/<int:object_id>/connection                  302 302 403 403
POST  sites/<int:object_id>/call-empty                                   302 302 404 302
GET   sites/<path:object_id>/delete                     302 302 403 403
GET   sites/<path:object_id>/history                    302 302 404 200
GET   sites/<path:object_id>                            302 302 302 302
GET   sites/<int:object_id>/request/<str:name>          302 302 404 403
POST  sites/<int:object_id>/request/<str:name>                           302 302 404 403
POST  sites/<int:object_id>/request/<str:name>/preview                   302 302 404 200

GET   audit                                302 302 403 403
GET   audit/<int:object_id>        302 302 403 403

GET   tokens                                 302 302 200 200
GET   tokens/add                             302 302 200 200
GET   tokens/<path:object_id>/delete         302 302 403 403

GET   failed-sign-ins                              302 302 403 403
GET   failed-sign-ins/<path:object_id>/delete      302 302 403 403
POST  failed-sign-ins/<path:object_id>/delete                            302 302 403 403
GET   delegations                               302 302 200 200
GET   delegations/add                           302 302 200 200
POST  delegations/add                                                    302 302 200 200
GET   delegations/<int:object_id>       302 302 404 404
POST  delegations/<int:object_id>                                        302 302 404 404
POST  delegations/<int:object_id>/end                                    302 302 404 404

GET   people                                    302 302 403 403
GET   people/add                                302 302 403 403
GET   people/<row_name:object_id>               302 302 404 404
POST  people/<row_name:object_id>                                        302 302 404 404
GET   people/<row_name:object_id>/edit          302 302 404 404
POST  people/<row_name:object_id>/edit                                   302 302 404 404
GET   people/<row_name:object_id>/password      302 302 404 404
GET   people/<row_name:object_id>/delete        302 302 404 404
POST  people/<row_name:object_id>/close                                  302 302 404 404
POST  people/<row_name:object_id>/reopen                                 302 302 404 404
POST  people/<row_name:object_id>/unlock                                 302 302 404 404
POST  people/<row_name:object_id>/reset_second_factor                    302 302 404 404
GET   teams                                     302 302 200 200
GET   teams/add                                 302 302 403 403
POST  teams/add                                                          302 302 403 403
POST  teams/preview                                                      302 302 403 403
GET   teams/<row_name:object_id>                302 302 404 200
POST  teams/<row_name:object_id>                                         302 302 404 403
GET   teams/<row_name:object_id>/edit           302 302 404 403
POST  teams/<row_name:object_id>/edit                                    302 302 404 403
GET   teams/<row_name:object_id>/delete         302 302 404 403
POST  teams/<row_name:object_id>/delete                                  302 302 404 403
GET   teams/<row_name:object_id>/offers         302 302 404 403
POST  teams/<row_name:object_id>/people                                  302 302 404 403
POST  teams/<row_name:object_id>/people/<int:row_id>/remove              302 302 404 403
GET   teams/<row_name:object_id>/invitations    302 302 404 403
POST  teams/<row_name:object_id>/invitations                             302 302 404 403
POST  teams/<row_name:object_id>/invitations/<int:row_id>/withdraw       302 302 404 403
POST  teams/<row_name:object_id>/coverage                                302 302 404 403
POST  teams/<row_name:object_id>/coverage/<int:row_id>/remove            302 302 404 403
POST  teams/<row_name:object_id>/experiments                             302 302 404 403
POST  teams/<row_name:object_id>/experiments/<int:row_id>/remove         302 302 404 403
"""
# What only some accounts manage is refused to all four alike.
MANAGED = ("site-roles", "site-accounts", "site-policies", "groups")
PAGES = ("", "/add", "/<path:object_id>/change", "/<path:object_id>/delete")
# What the addresses that change something need besides, to be understood at all.
QUERIES = {f"POST {API}": "?action=run", f"PATCH {API}/jobs": "?status=READY"}


def rows() -> Iterator[tuple[str, str, list[int]]]:
    """Yield method, route and the four statuses of each row."""
    for line in filter(None, TABLE.splitlines()):
        method, route, *statuses = line.split()
        yield method, "" if route == "." else route, [int(status) for status in statuses]
    for model in MANAGED:
        yield from (("GET", model + page, [302, 302, 403, 403]) for page in PAGES)
        yield "GET", f"{model}/<path:object_id>", [302, 302, 302, 302]
        history = 403 if model == "groups" else 404
        yield "GET", f"{model}/<path:object_id>/history", [302, 302, history, history]


def walked(patterns: list[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield method and route of whatever the URL configuration leads to; pages take any method."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walked(pattern.url_patterns, route)
        elif isinstance(pattern.pattern, RoutePattern):
            methods = methods_of(pattern.callback)
            yield from ((method.upper(), _plain(route)) for method in methods or ["any"])


def methods_of(callback: Any) -> list[str]:
    """Return which methods of HTTP an address of the API takes; none of one that is no address of the API."""
    view = getattr(callback, "cls", None)
    names = ("get", "post", "put", "patch", "delete")
    bound = getattr(callback, "actions", None) or [name for name in names if hasattr(view, name)]
    return [name for name in names if name in bound]


def _plain(route: str) -> str:
    return route if route == "v4/" else route.rstrip("/")


def test_every_route_is_in_the_table() -> None:
    told = {(method, route) for method, route, _ in rows()}
    pages = {("ANY", route) for _, route, _ in rows()}
    assert set(walked(get_resolver().url_patterns)) - told - pages == set()
    assert {route for _, route, _ in rows()} - {route for _, route in walked(get_resolver().url_patterns)} <= {"v4/"}


@pytest.fixture
def people(db: None) -> dict[str, Client]:
    """The four, and a row of everything: that of a000 is first."""
    site = factories.create_site(slug="local", is_default=True)
    experiment = factories.create_experiment(site, expid="a000")
    factories.create_job(experiment, "a000_POST")
    factories.create_run(experiment, run_id=1)
    factories.create_action(experiment, state=State.SUCCEEDED)
    factories.create_freeze(site)
    factories.create_note(experiment, job_name="a000_POST")
    factories.create_delegation(factories.create_user(), factories.create_user())
    SavedView.objects.create(user=factories.create_user(), name="x", query="status=FAILED")
    elsewhere = factories.create_experiment(expid="b000")
    made = {name: factories.create_user(username=name) for name in PEOPLE[1:]}
    factories.create_team((made["viewer"], Role.VIEWER), covers={"site": site})
    factories.create_team((made["stranger"], Role.VIEWER), covers={"site": elsewhere.site})
    manager = factories.create_user(Role.MANAGER)
    factories.create_token(manager)
    SiteRole.objects.create(user=manager, site=site, role=Role.MANAGER)
    SiteAccount.objects.create(user=manager, site=site, unix_name="ana")
    SitePolicy.objects.create(site=site)
    factories.create_failed_sign_in()
    AuditEntry.objects.create(event="x", door="api", site="local", expid="a000")
    return {"anonymous": Client()} | {name: signed_in(user) for name, user in made.items()}


# Whole bodies, so that nothing but the credential is against them.
BODIES = {
    "POST v4/experiments": {"description": "x"},
    f"POST {API}/program": {"program": ""},
    f"POST {API}/notes": {"text": "x"},
    f"POST {API}/jobs/<job:job>/notes": {"text": "x"},
    "POST v4/actions": {"kind": "run", "targets": [{"expid": "a000"}]},
    "POST v4/tokens": {"name": "child"},
    "POST v4/delegations": {"grantee": "bare", "role": "viewer", "reason": "x", "ends_at": TOMORROW},
    "POST v4/freezes": {"site": "local", "message": "x"},
    "POST v4/actions/<int:action_id>/reject": {"reason": "x"},
    "POST v4/sites/<name:slug>/call-empty": {"host": "local", "reason": "x"},
}
UNSAFE = sorted(
    {
        f"{method} {route}"
        for method, route in walked(get_resolver().url_patterns)
        if route.startswith("v4") and method not in ("GET", "ANY")
    }
)


def with_token(kind: str) -> Client:
    """A superuser whose token is only to read, or limited to a team that has nothing to do with a000."""
    admin = factories.create_user(username="root", is_superuser=True)
    values: dict[str, Any] = {"kinds": []} if kind == "reading" else {"only_teams": True}
    text = factories.create_token(admin, name=kind, **values)
    if kind == "foreign":
        elsewhere = Team.objects.filter(coverages__site__experiments__expid="b000")
        ApiToken.objects.get(name=kind).teams.set(elsewhere)
    return Client(headers={"authorization": f"Bearer {text}"})


def refusals(answer: Any) -> set[int]:
    """Return the statuses of an answer: a request for many experiments has one for each."""
    told = answer.json()
    return {result["status"] for result in told.get("results", [{"status": answer.status_code}])}


@pytest.mark.parametrize("kind", ["reading", "foreign"])
@pytest.mark.parametrize("address", UNSAFE)
def test_a_limited_token_changes_nothing_by_any_route(people: dict[str, Client], address: str, kind: str) -> None:
    client = with_token(kind)
    method, route = address.split()
    before = tables()
    query = QUERIES.get(address, "?site=local" if address == "POST v4/experiments" else "")
    path, body = address_of(route) + query, json.dumps(BODIES.get(address, {}))
    answer = client.generic(method, path, body, "application/json")
    assert refusals(answer) <= {403, 404}, answer.content
    assert tables() == before


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ask(client: Client, method: str, route: str) -> Any:
    address = "/r/1/1/" if route.startswith("r/") else address_of(route)
    if route.startswith("jobs/request"):
        answer: Any = client.generic(method, address, f"selection={Job.objects.get().pk}", FORM)
    else:
        address += QUERIES.get(f"{method} {route}", "")
        answer = client.generic(method, address, "{}", "application/json")
    b"".join(answer) if getattr(answer, "streaming", False) else answer.content
    return answer


def status_of(client: Client, method: str, route: str) -> int:
    return int(ask(client, method, route).status_code)


@pytest.mark.parametrize("part", ["v4", "experiments", "jobs", ""])
def test_everybody_gets_what_the_table_says(people: dict[str, Client], part: str) -> None:
    found, expected = {}, {}
    for method, route, statuses in rows():
        if _part_of(route) == part:
            name = f"{method} {route}"
            expected[name] = statuses
            found[name] = [status_of(client, method, route) for client in people.values()]
    assert found == expected


def _part_of(route: str) -> str:
    first = route.partition("/")[0]
    return first if first in ("v4", "experiments", "jobs") else ""


@pytest.mark.parametrize("who", ["anonymous", "viewer"])
def test_no_answer_may_be_kept_for_anybody_else(people: dict[str, Client], who: str) -> None:
    told = {f"{method} {route}": ask(people[who], method, route)["Cache-Control"] for method, route, _ in rows()}
    shared = {name: said for name, said in told.items() if said not in ("private, no-cache", "no-store")}
    assert {said for said in shared.values() if not {"private", "no-store"} <= {*said.split(", ")}} == set()


def test_nothing_was_changed_by_asking(people: dict[str, Client]) -> None:
    models = (Action, Delegation, Experiment, Freeze, Job, Run, SiteRole)
    before = [model._default_manager.count() for model in models]
    for method, route, _ in rows():
        if method != "GET":
            for client in people.values():
                status_of(client, method, route)
    assert [model._default_manager.count() for model in models] == before
    assert not Freeze.objects.exclude(ended_at=None).exists()
