"""A portal under a path of its host: addresses, redirects, cookies. tests/system/test_sub_path.py walks its pages."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import override_script_prefix
from django.urls import reverse
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.parts.messages import MessageStorage
from experiments.models import Experiment, State
from tests.support import factories

PATH = "/portal/x"


@pytest.fixture(autouse=True)
def _under_a_path(settings: Any) -> Iterator[None]:
    """What PORTAL_PATH does to Django; the web server takes the path off."""
    settings.FORCE_SCRIPT_NAME = settings.SESSION_COOKIE_PATH = settings.CSRF_COOKIE_PATH = PATH
    with override_script_prefix(f"{PATH}/"):
        yield


@pytest.mark.parametrize("route", ["index-list", "admin:login", "second_factor", "admin:password_change"])
def test_every_route_begins_with_the_path(route: str) -> None:
    assert reverse(route).startswith(f"{PATH}/")


@pytest.fixture
def experiment(db: None) -> Experiment:
    """An experiment that may be run."""
    site = factories.create_site(slug="local", is_default=True)
    made = factories.create_experiment(site, expid="a000")
    factories.create_job(made, "a000_SIM")
    return made


def test_an_action_says_its_address_below_the_path(
    api: Callable[..., APIClient], manager: User, experiment: Experiment
) -> None:
    answer = api(manager).post("/v4/experiments/a000?action=run", {}, format="json")
    assert answer.headers["Location"] == answer.json()["url"] == f"{PATH}/v4/actions/{answer.json()['id']}"
    assert answer.json()["output_url"] == f"{PATH}/v4/actions/{answer.json()['id']}/output"


def test_a_conflict_names_the_other_action_below_the_path(
    api: Callable[..., APIClient], manager: User, experiment: Experiment
) -> None:
    action = factories.create_action(experiment)
    answer = api(manager).post("/v4/experiments/a000?action=run", {}, format="json")
    assert answer.json()["action"] == f"{PATH}/v4/actions/{action.pk}"


def test_the_next_page_of_a_list_lies_below_the_path(
    api: Callable[..., APIClient], manager: User, experiment: Experiment
) -> None:
    for _ in range(2):
        factories.create_action(experiment, state=State.FAILED)
    listed = api(manager).get("/v4/actions?page_size=1").json()
    assert listed["next"].startswith(f"http://testserver{PATH}/v4/actions?")


def test_who_is_not_signed_in_is_sent_to_the_form_and_comes_back(client: Client, db: None) -> None:
    answer = client.get("/experiments/")
    assert answer.headers["Location"] == f"{PATH}/login/?next={PATH}/experiments/"


def test_an_address_that_means_nothing_says_where_to_go(api: Callable[..., APIClient], manager: User) -> None:
    assert f"{PATH}/v4/docs describes it" in api(manager).get("/v4/nothing").json()["detail"]
    assert f"{PATH}/v4," in api().get("/nothing", headers={"Accept": "application/json"}).json()["detail"]


def test_a_missing_slash_is_added_below_the_path(client: Client, manager: User) -> None:
    client.force_login(manager)
    assert client.get("/experiments").headers["Location"] == f"{PATH}/experiments/"


def test_the_cookies_of_a_sign_in_are_for_the_path_alone(client: Client, db: None) -> None:
    factories.create_user(Role.VIEWER, username="ana", password="a long password")
    answer = client.post("/login/", {"username": "ana", "password": "a long password", "next": f"{PATH}/"})
    assert answer.headers["Location"] == f"{PATH}/"
    assert {cookie["path"] for cookie in answer.cookies.values()} == {PATH}
    assert len(answer.cookies) == 2


def test_the_cookie_of_messages_is_for_the_path_alone(rf: RequestFactory) -> None:
    answer = HttpResponse()
    request = rf.get("/")
    request.session = SessionBase()
    storage = MessageStorage(request)
    storage.add(messages.INFO, "The action was requested.")
    storage.update(answer)
    assert answer.cookies["messages"]["path"] == PATH


def test_the_pages_of_the_api_link_below_the_path(client: Client, manager: User, experiment: Experiment) -> None:
    client.force_login(manager)
    page = client.get("/v4/experiments/a000", headers={"Accept": "text/html"}).content.decode()
    links = re.findall(r'(?:href|action|src)="(/[^"]*)"', page)
    assert f"{PATH}/v4/experiments/a000/jobs" in " ".join(links)
    assert [link for link in links if not link.startswith((f"{PATH}/", "/static/"))] == []
