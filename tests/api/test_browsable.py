"""The pages of the API: a person does with them what they may do, and finds the way from everything to everything."""

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.api.forms import read_form
from autosubmit_portal.api.urls import router
from experiments.catalogue.kinds import CATALOGUE, ActionKind
from experiments.models import Action, Experiment, State
from jobs.models import Job
from tests.access.test_routes import UNSAFE, people, signed_in  # noqa: F401
from tests.api.conftest import PAGE
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.kinds import route_of
from tests.test_queries import address_of

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database


def forms(client: Client, path: str) -> set[str]:
    """Return the names of the forms on a page."""
    page = client.get(path).content.decode()
    return {*re.findall(r'<details class="said" id="([^"]+)"', page)} - {"filters"}


def send(client: Client, path: str, form_id: str, /, **values: str) -> Any:
    """Fill in a form of a page and send it as a browser does."""
    page = client.get(path).content.decode()
    form = page.partition(f'<details class="said" id="{form_id}"')[2].partition("</form>")[0]
    url = unescape(re.search(r'<form action="([^"]+)"', form)[1])  # type: ignore[index]
    method = re.search(r'data-method="(\w+)"', form)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]  # type: ignore[index]
    data = {"csrfmiddlewaretoken": token} | values
    body = "&".join(f"{key}={value}" for key, value in data.items())
    return client.generic(
        method[1] if method else "POST", url, body, "application/x-www-form-urlencoded",
        headers={"x-csrftoken": token},
    )  # fmt: skip


def test_a_viewer_gets_no_form_of_an_experiment(
    as_person: Callable[[User], Client], viewer: User, experiment: Experiment
) -> None:
    client = as_person(viewer)
    assert forms(client, "/v4/experiments/a000") == set()
    assert forms(client, "/v4/experiments") == set()
    assert forms(client, "/v4/experiments/a000/jobs") == set()


def test_an_operator_gets_the_forms_of_an_operator(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    client = as_person(operator)
    assert forms(client, "/v4/experiments/a000") >= {"act-run", "act-stop", "partial_update-update_description"}
    assert "partial_bulk_update-set_status" in forms(client, "/v4/experiments/a000/jobs")


def test_a_form_proposes_to_see_first_what_it_would_do(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    page = as_person(operator).get("/v4/experiments/a000").content.decode()
    assert page.count('<option value="true" selected>only tell') == page.count("only tell what it would do")


def test_a_form_tells_what_it_would_do(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    answer = send(as_person(operator), "/v4/experiments/a000", "act-run", dry_run="true", reason="first+year")
    assert answer.status_code == 200
    page = answer.content.decode()
    told, _, form = page.partition('aria-label="Answer"')[2].partition('id="act-run" open')
    assert "autosubmit" in told
    assert 'value="first year"' in form
    assert not Action.objects.exists()


def test_a_form_leads_to_the_action_that_it_asked_for(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    answer = send(as_person(operator), "/v4/experiments/a000", "act-run", reason="first+year", dry_run="")
    action = Action.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/v4/actions/{action.pk}")
    assert (action.kind, action.reason) == ("run", "first year")


def test_a_form_sets_the_status_of_jobs(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    answer = send(
        as_person(operator), "/v4/experiments/a000/jobs", "partial_bulk_update-set_status",
        status="READY", jobs="a000_POST%0D%0A", dry_run="", reason="x",
    )  # fmt: skip
    assert answer.status_code == 303
    assert Action.objects.get().parameters["jobs"] == ["a000_POST"]


def test_a_refused_form_is_shown_again_with_what_was_typed(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    path = "/v4/experiments/a000/jobs"
    answer = send(
        as_person(operator), path, "partial_bulk_update-set_status", status="READY", filter_chunks="x%5B", dry_run=""
    )
    assert answer.status_code == 400
    page = answer.content.decode()
    assert 'value="x[' in page
    assert "has-error" in page


@pytest.mark.parametrize(
    ("path", "status", "values"),
    [
        ("/v4/delegations", 404, {"grantee": "viewer", "expid": "zzzz", "ends_at": "2099-01-01", "reason": "Holidays"}),
        ("/v4/freezes", 400, {"site": "nowhere", "message": "Maintenance"}),
        ("/v4/tokens", 400, {"name": "mine", "days": "0"}),
        ("/v4/actions", 400, {"kind": "run", "targets": ""}),
        ("/v4/experiments", 400, {"hpc": "a b"}),
    ],
)
def test_what_was_typed_is_kept_whatever_was_against_it(
    as_person: Callable[[User], Client],
    manager: User,
    viewer: User,
    experiment: Experiment,
    *,
    path: str,
    status: int,
    values: dict[str, str],
) -> None:
    name = "create-create" if path == "/v4/experiments" else "create"
    answer = send(as_person(manager), path, name, **values)
    form = answer.content.decode().partition(f'id="{name}" open')[2].partition("</form>")[0]
    assert answer.status_code == status
    assert 'role="alert"' in form
    assert [value for value in values.values() if escape(value) not in form] == []


@pytest.mark.parametrize("text", ["9" * 5000, "²", "-1", "1e3"])
def test_what_a_form_says_for_a_number_is_left_to_the_shape_unless_it_is_one(text: str) -> None:
    class Shape(serializers.Serializer[Any]):
        count = serializers.IntegerField()

    said = QueryDict(mutable=True)
    said["count"] = text
    assert read_form(said, Shape) == {"count": text}


def test_a_form_makes_a_token_and_another_revokes_it(as_person: Callable[[User], Client], viewer: User) -> None:
    client = as_person(viewer)
    assert send(client, "/v4/tokens", "create", name="mine").status_code == 201
    token = ApiToken.objects.get()
    send(client, f"/v4/tokens/{token.token_key}", "destroy")
    assert not ApiToken.objects.exists() or ApiToken.objects.get().is_expired


def test_a_form_says_what_an_empty_field_means_where_null_and_an_empty_list_differ(
    as_person: Callable[[User], Client], viewer: User
) -> None:
    page = as_person(viewer).get("/v4/tokens").content.decode()
    assert page.count('placeholder="One in each line; none means null"') == 2


def test_a_form_without_its_token_is_refused(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    client = as_person(operator)
    answer = client.post("/v4/experiments/a000?action=run", "reason=x", "application/x-www-form-urlencoded")
    assert answer.status_code == 403
    assert not Action.objects.exists()


def test_nobody_gets_a_form(experiment: Experiment) -> None:
    answer = Client(headers={"accept": PAGE}).post("/v4/tokens", {"name": "mine"})
    assert answer.status_code == 401
    assert 'class="said"' not in answer.content.decode()


def test_raw_data_without_its_token_is_refused(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    answer = as_person(operator).post("/v4/experiments/a000?action=run", "{}", "application/json")
    assert answer.status_code == 403
    assert not Action.objects.exists()


def test_a_program_sends_no_form(as_operator: Any, experiment: Experiment) -> None:
    answer = as_operator.post(
        "/v4/experiments/a000?action=run", "reason=x", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("OPTIONS /v4/experiments/a000", 200),
        ("OPTIONS /v4/experiments/a0zz", 200),
        ("OPTIONS /v4/experiments/a0zz/jobs/x", 200),
        ("OPTIONS /v4/actions/999", 200),
        ("OPTIONS /v4/freezes/999", 200),
        ("OPTIONS /v4/delegations/999", 200),
        ("GET /v4/experiments/a0zz?bogus=1", 400),
        ("GET /v4/experiments/a0zz/jobs?bogus=1", 400),
        ("GET /v4/experiments/a0zz", 404),
        ("GET /v4/actions/999/cancel", 405),
    ],
)
def test_a_page_about_nothing_is_a_page(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment, asked: str, status: int
) -> None:
    method, path = asked.split()
    answer = as_person(operator).generic(method, path, headers={"accept": PAGE})
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/html; charset=utf-8"


def links(client: Client, path: str) -> set[str]:
    """Return where the page leads."""
    return {unescape(url) for url in re.findall(r'href="([^"]+)"', client.get(path).content.decode())}


def test_everything_leads_to_everything(
    as_person: Callable[[User], Client], manager: User, experiment: Experiment
) -> None:
    client = as_person(manager)
    action = factories.create_action(experiment)
    assert "/v4/experiments/a000?site=local" in links(client, "/v4/experiments")
    assert {
        "/v4/experiments/a000/jobs", "/v4/experiments/a000/logs", "/v4/experiments/a000/runs",
        "/v4/actions?expid=a000&site=local", "/v4/audit?expid=a000&site=local",
    } <= links(client, "/v4/experiments/a000")  # fmt: skip
    job = "/v4/experiments/a000/jobs/a000_POST"
    assert job in links(client, "/v4/experiments/a000/jobs")
    assert {f"{job}/parents", f"{job}/children", f"{job}/logs", "/v4/experiments/a000"} <= links(client, job)
    parent = Job.objects.get(section="SIM").name
    assert f"/v4/experiments/a000/jobs/{parent}" in links(client, f"{job}/parents")
    assert "/v4/experiments/a000?site=local" in links(client, f"/v4/actions/{action.pk}")


def test_a_list_has_its_filters(as_person: Callable[[User], Client], viewer: User, experiment: Experiment) -> None:
    page = as_person(viewer).get("/v4/experiments?owner=ana&is_running=").content.decode()
    dialog = page.partition('id="filters"')[2].partition("</form>")[0]
    assert 'name="owner" type="text" value="ana"' in dialog
    assert 'name="order_by"' in dialog


@pytest.mark.parametrize("route", UNSAFE)
def test_every_route_that_changes_something_has_a_form(
    people: dict[str, Client],  # noqa: F811
    route: str,
    hosts_here: InProcessHosts,
) -> None:
    """Of the forms' own action, or on the page above it."""
    client = signed_in(factories.create_user(username="root", is_superuser=True))
    method, address = route.split()
    path = address_of(address)
    states: dict[str, dict[str, Any]] = {
        "/approve": {"state": State.AWAITING_APPROVAL},
        "/reject": {"state": State.AWAITING_APPROVAL},
        "/cancel": {"state": State.QUEUED},
        "/call-lost": {"state": State.RUNNING, "unseen_since": timezone.now()},
    }
    values = next((values for end, values in states.items() if path.endswith(end)), None)
    if values:
        experiment = Experiment.objects.get(expid="a000")
        made = factories.create_action(experiment, command=[["autosubmit", "run", "a000"]], **values)
        path = f"/v4/actions/{made.pk}/{path.rpartition('/')[2]}"
        page = client.get(path.rpartition("/")[0], headers={"accept": PAGE}).content.decode()
    elif path.endswith("/call-empty"):
        hosts_here.away["local"] = "The link is down."
        page = client.get(path.rpartition("/")[0], headers={"accept": PAGE}).content.decode()
    else:
        if "/tokens/" in path:
            path = f"/v4/tokens/{ApiToken.objects.get().token_key}"
        page = client.get(path, headers={"accept": PAGE}).content.decode()
    assert (method, path) in {(method, url.partition("?")[0]) for method, url in sent_by_forms(page)}


def sent_by_forms(page: str) -> set[tuple[str, str]]:
    """Return the method and the address of each form of a page that changes something."""
    return {
        (method, unescape(url))
        for url, rest in re.findall(r'<form action="([^"]+)"([^>]*)>', page)
        for method in re.findall(r'data-method="(\w+)"', rest) or ["POST"]
    }


def test_the_routes_that_change_something_are_those_of_the_router() -> None:
    bound = {
        (method.upper(), str(url.pattern).rstrip("/"))
        for url in router.urls
        for method in url.callback.actions  # type: ignore[union-attr]
    }
    assert {tuple(route.split()) for route in UNSAFE} == {one for one in bound if one[0] not in SAFE_METHODS}
    assert {"POST v4/actions", "POST v4/tokens", "DELETE v4/tokens/<name:token_id>"} < {*UNSAFE}


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_every_kind_of_action_has_a_form_with_its_parameters(
    as_person: Callable[[User], Client], manager: User, experiment: Experiment, kind: ActionKind
) -> None:
    method, address = route_of(kind)
    page = as_person(manager).get(address.partition("?")[0]).content.decode()
    form = page.partition(f'-{kind.name}">')[2].partition("</details>")[0]
    [(sent_by, url)] = sent_by_forms(form.partition("</form>")[0])
    assert (sent_by, f"action={kind.name}" in url) == (method.upper(), method == "post" and "?action" in address)
    names = {*re.findall(r'<(?:input|select|textarea) class="form-control" id="[^"]+" name="(\w+)"', form)}
    assert names == {*(option.name for option in kind.options), "reason", "dry_run"}


@pytest.mark.parametrize("path", ["/v4", "/v4/experiments", "/v4/experiments/a000", "/v4/tokens"])
def test_a_page_holds_no_style_and_no_script_of_its_own(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment, path: str
) -> None:
    page = as_person(operator).get(path).content.decode()
    assert " style=" not in page
    assert "<style" not in page
    assert re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", page) == []
    outside = re.findall(r'(?:src|href|action)="(https?://[^"]+)"', page)
    assert all(url.startswith("http://testserver/") for url in outside)


def test_a_form_of_a_change_begins_with_what_is_there(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    page = as_person(operator).get("/v4/experiments/a000").content.decode()
    form = page.partition('id="partial_update-update_description"')[2]
    assert f'name="description" type="text" value="{experiment.description}"' in form
    assert f"&quot;description&quot;: &quot;{experiment.description}&quot;" in form


def test_raw_data_proposes_a_dry_run(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    page = as_person(operator).get("/v4/experiments/a000").content.decode()
    assert page.count("&quot;dry_run&quot;: true") == page.count('name="content"')


@pytest.mark.parametrize("text", ['{"reason": ', '["no object"]', '{"bogus": 1}', '{"reason": "a", "reason": "b"}'])
def test_refused_raw_data_is_shown_again_as_it_was_typed(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment, text: str
) -> None:
    client = as_person(operator)
    token = client.get("/v4").content.decode().partition('csrfmiddlewaretoken" value="')[2].partition('"')[0]
    answer = client.post("/v4/experiments/a000?action=run", text, "application/json", headers={"x-csrftoken": token})
    form = answer.content.decode().partition('id="act-run" open')[2].partition("</details>")[0]
    assert answer.status_code == 400
    assert f">{escape(text)}</textarea>" in form
    assert 'role="alert"' in form


def test_one_form_acts_on_many_experiments(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    answer = send(
        as_person(operator), "/v4/actions", "create",
        kind="update_description", targets="a000+local%0D%0A", reason="x", dry_run="false",
        parameters="%7B%22description%22%3A+%22new%22%7D",
    )  # fmt: skip
    assert answer.status_code == 202
    assert Action.objects.get().parameters == {"description": "new"}


def test_what_is_no_json_is_told_at_its_field(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    answer = send(as_person(operator), "/v4/actions", "create", kind="run", targets="a000", parameters="force")
    assert answer.status_code == 400
    assert "This is no JSON" in answer.content.decode().partition('id="create-parameters-help"')[2]


def test_an_operator_chooses_among_the_actions_of_an_operator(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    page = as_person(operator).get("/v4/actions").content.decode()
    choices = page.partition('id="create-kind"')[2].partition("</select>")[0]
    assert 'value="run"' in choices
    assert 'value="generate"' not in choices


def test_a_list_leads_to_each_row_also_of_the_same_name(as_person: Callable[[User], Client], viewer: User) -> None:
    for _ in range(2):
        factories.create_token(viewer, name="script")
    keys = ApiToken.objects.values_list("token_key", flat=True)
    assert {f"/v4/tokens/{key}" for key in keys} <= links(as_person(viewer), "/v4/tokens")


def test_a_list_leads_to_its_next_page(
    as_person: Callable[[User], Client], viewer: User, experiment: Experiment
) -> None:
    factories.create_experiment(experiment.site, expid="a001")
    client = as_person(viewer)
    page = client.get("/v4/experiments?page_size=1").content.decode()
    following = re.search(r'<a href="([^"]+)">Next', page)
    assert following
    assert "a001" in client.get(unescape(following[1])).content.decode()


def test_the_page_of_a_long_list_shows_its_beginning(
    as_person: Callable[[User], Client], viewer: User, experiment: Experiment
) -> None:
    for number in range(300):
        factories.create_job(experiment, f"a000_{number:05}")
    client = as_person(viewer)
    page = client.get("/v4/experiments/a000/jobs").content.decode()
    assert re.search(r"The last \d+ lines are left out here", page)
    assert "a000_00299" not in page
    whole = client.get("/v4/experiments/a000/jobs", headers={"accept": "application/json"})
    assert "a000_00299" in whole.content.decode()


def test_a_person_logs_out(as_person: Callable[[User], Client], viewer: User) -> None:
    client = as_person(viewer)
    page = client.get("/v4").content.decode()
    form = page.partition(f'<form method="post" action="{reverse("admin:logout")}"')[2]
    token = re.search(r'value="([^"]+)"', form)[1]  # type: ignore[index]
    client.post(reverse("admin:logout"), {"csrfmiddlewaretoken": token, "next": "/v4"})
    assert client.get("/v4").status_code == 401
