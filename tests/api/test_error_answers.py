"""Clients that come from elsewhere: programs at an address of the console, and pages of other origins."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.test.utils import modify_settings
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.conftest import REPOSITORY

GUI = "https://gui.example.org"
JSON = ["application/json", "application/json, text/plain, */*", "application/problem+json"]
CORS = "corsheaders.middleware.CorsMiddleware"


@pytest.mark.parametrize("accept", JSON)
@pytest.mark.parametrize("path", ["/", "/v3/expinfo/a000", "//v4//x", "/login/", "/experiments/", "/v4x"])
def test_a_program_outside_of_the_api_is_told_so(client: Client, db: None, path: str, accept: str) -> None:
    answer = client.get(path, headers={"accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert "/v4" in answer.json()["detail"]
    assert answer.json()["error"] is True


@pytest.mark.parametrize("script", sorted((REPOSITORY / "autosubmit_portal/static").rglob("*.js")), ids=str)
def test_the_scripts_of_the_console_are_not_taken_for_programs(script: Path) -> None:
    assert "application/json" not in script.read_text()


@pytest.mark.parametrize("path", ["/v4/nothing", "/v4//x", "/v4/experiments/"])
def test_below_v4_a_program_is_never_led_to_a_page(client: Client, db: None, path: str) -> None:
    answer = client.get(path, headers={"accept": JSON[1]})
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


def test_a_session_that_asks_for_json_gets_no_page_of_the_console(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.post("/experiments/", HTTP_ACCEPT=JSON[0]).status_code == 404


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*", "text/html, application/json"])
def test_a_browser_is_led_to_the_sign_in(client: Client, db: None, accept: str) -> None:
    assert client.get("/", headers={"accept": accept}).status_code == 302


def test_a_host_that_is_not_ours_is_a_problem_to_programs(client: Client, db: None) -> None:
    answer = client.get("/v4", headers={"host": "evil.example.org"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer nonsense"}])
def test_who_is_not_known_is_told_so_where_the_peer_says_it(client: Client, db: None, header: dict[str, str]) -> None:
    answer = client.get("/v4/auth/verify-token", headers=header)
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert (answer.json()["authenticated"], answer.json()["user"]) == (False, None)


@pytest.fixture
def with_cors(settings: Any) -> Any:
    """The API for the pages of one other origin."""
    settings.CORS_ALLOWED_ORIGINS = [GUI]
    with modify_settings(MIDDLEWARE={"prepend": CORS}):
        yield


def cross_origin(client: APIClient, origin: str = GUI, path: str = "/v4/experiments") -> Any:
    return client.get(path, HTTP_ORIGIN=origin)


def test_a_page_of_a_named_origin_reads_with_a_token(
    with_cors: None, as_viewer: APIClient, experiment: Experiment
) -> None:
    answer = cross_origin(as_viewer)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, GUI)
    assert "Access-Control-Allow-Credentials" not in answer
    exposed = {name.strip() for name in answer["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {"ETag", "Location", "Link", "Retry-After", "Preference-Applied"}
    assert "origin" in answer["Vary"].lower()


def test_a_refusal_is_readable_to_the_page(with_cors: None, client: Client, db: None) -> None:
    answer = cross_origin(APIClient())
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (401, GUI)


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"{GUI}.evil.org", "http://gui.example.org", "null"])
def test_an_origin_that_is_not_named_is_told_nothing(
    with_cors: None, as_viewer: APIClient, experiment: Experiment, origin: str
) -> None:
    answer = cross_origin(as_viewer, origin)
    assert "Access-Control-Allow-Origin" not in answer
    assert "origin" in answer["Vary"].lower()


def test_the_console_is_for_its_own_pages_alone(with_cors: None, as_viewer: APIClient) -> None:
    assert "Access-Control-Allow-Origin" not in cross_origin(as_viewer, path="/login/")


def test_a_preflight_is_answered_without_a_token(with_cors: None, db: None) -> None:
    answer = APIClient().options("/v4/experiments/a000", HTTP_ORIGIN=GUI, HTTP_ACCESS_CONTROL_REQUEST_METHOD="PATCH")
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, GUI)
    allowed = answer["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key", "prefer"))


def test_by_default_no_origin_is_named(as_viewer: APIClient, experiment: Experiment) -> None:
    assert "Access-Control-Allow-Origin" not in cross_origin(as_viewer)
