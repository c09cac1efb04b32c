"""Errors are problem details, whatever went wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.exceptions import Throttled
from rest_framework.test import APIClient

from autosubmit_portal.api.urls import urlpatterns
from autosubmit_portal.api.views import experiments
from experiments.models import Experiment, Site
from tests.support import factories
from tests.support.stores.written import write_store

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

# Each route without its slash at the end; the last one is for whatever is no route.
ROUTES = [str(url.pattern) for url in urlpatterns[:-1] if not str(url.pattern).endswith("/")]
PARTS = {"type", "title", "status", "detail", "error", "error_message"}


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body.keys() >= PARTS
    assert (body["status"], body["error"], body["error_message"]) == (status, True, body["detail"])
    return body


def test_wrong_parameters(as_viewer: APIClient, site: Site) -> None:
    assert problem(as_viewer.get("/v4/experiments?page=0"), 400)["type"] == "urn:autosubmit-portal:invalid-parameters"


def test_a_malformed_body(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post("/v4/experiments/a000?action=run", "{", content_type="application/json")
    assert problem(answer, 400)["type"] == "urn:autosubmit-portal:malformed-body"


def test_nobody_signed_in(api: Callable[..., APIClient]) -> None:
    answer = api().get("/v4/experiments")
    assert "Authorization: Bearer" in problem(answer, 401)["detail"]
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_permission_is_missing(as_viewer: APIClient, experiment: Experiment) -> None:
    body = problem(as_viewer.post("/v4/experiments/a000?action=run"), 403)
    assert body["detail"].startswith("viewer may not do “Start”")


def test_no_such_experiment(as_viewer: APIClient, site: Site) -> None:
    problem(as_viewer.get("/v4/experiments/a0zz"), 404)


@pytest.mark.parametrize("path", ["/v4/nothing", "/v4/nothing/", "/v4/actions/x", "/v4/experiments/a%00b"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_no_such_route(as_viewer: APIClient, path: str, method: str) -> None:
    assert "/v4 shows where to go" in problem(getattr(as_viewer, method)(path), 404)["detail"]


def test_no_such_method(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.delete("/v4/experiments/a000")
    problem(answer, 405)
    assert answer["Allow"] == "GET, POST, PATCH, HEAD, OPTIONS"


def test_no_such_format(as_viewer: APIClient, site: Site) -> None:
    problem(as_viewer.get("/v4/experiments", HTTP_ACCEPT="image/png"), 406)


def test_an_unknown_format_in_the_address(as_viewer: APIClient, site: Site) -> None:
    problem(as_viewer.get("/v4/experiments?format=png"), 406)
    assert "Legal: json" in as_viewer.get("/v4/experiments?format=png").json()["detail"]


def test_a_conflict(as_operator: APIClient, experiment: Experiment) -> None:
    assert problem(as_operator.post("/v4/experiments/a000?action=stop"), 409)["title"] == "Conflict"


def test_another_content_type(as_operator: APIClient, experiment: Experiment) -> None:
    problem(as_operator.post("/v4/experiments/a000?action=run", "x", content_type="text/plain"), 415)


def test_too_many_requests(as_viewer: APIClient, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttle(self: Any, request: Any) -> None:
        raise Throttled(wait=30)

    monkeypatch.setattr(experiments.ExperimentViewSet, "check_throttles", throttle)
    answer = as_viewer.get("/v4/experiments")
    assert problem(answer, 429)["type"] == "urn:autosubmit-portal:throttled"
    assert answer["Retry-After"] == "30"


def test_a_failure_of_the_portal(as_viewer: APIClient, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(experiments, "make_condition", fail)
    as_viewer.raise_request_exception = False
    assert "secret" not in str(problem(as_viewer.get("/v4/experiments"), 500))


def test_a_page_shows_a_problem_too(as_viewer: APIClient, site: Site) -> None:
    answer = as_viewer.get("/v4/experiments?page=0", HTTP_ACCEPT="text/html")
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "urn:autosubmit-portal:invalid-parameters" in answer.content.decode()


LOG = "a000_POST.1.out"
VALUES = {
    "name:expid": "a000",
    "job:job": "a000_POST",
    "name:log": LOG,
    "name:slug": "local",
    "name:token_id": "x",
    "int:action_id": "1",
    "int:entry_id": "1",
    "int:freeze_id": "1",
    "int:note_id": "1",
    "int:delegation_id": "1",
    "int:run_id": "1",
}


def address(route: str) -> str:
    """Return an address that the route is for."""
    return "/" + re.sub(r"<([^>]+)>", lambda part: VALUES[part[1]], route)


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "healthz"])
def test_anonymous_gets_nothing(api: Callable[..., APIClient], route: str, experiment: Experiment) -> None:
    for path in (address(route), f"{address(route)}/"):
        for method in ("get", "post", "patch", "options"):
            problem(getattr(api(), method)(path), 401)


@pytest.fixture
def logged(experiment: Experiment, tmp_path: Path) -> None:
    """A log that both the experiment and its job POST have, in a store of their own, and a note."""
    factories.create_note(experiment, job_name="a000_POST", pk=1)
    Site.objects.update(home=str(tmp_path))
    made = write_store(tmp_path, "a000")
    for folder in ("ASLOGS", "LOG_a000"):
        (made / "tmp" / folder / LOG).touch()


@pytest.mark.parametrize("route", [route for route in ROUTES if "<" not in route or "expid" in route])
def test_a_slash_at_the_end_changes_nothing(as_manager: APIClient, route: str, logged: None) -> None:
    without, slashed = as_manager.get(address(route)), as_manager.get(f"{address(route)}/")
    for answer in (without, slashed):
        answer.close()  # one that is streamed holds a file
    assert without.status_code == slashed.status_code
    assert without.status_code in (200, 503) or without.json()["type"].endswith(":no-configuration")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v4/experiments/a000/?action=run"),
        ("patch", "/v4/experiments/a000/jobs/?status=READY"),
        ("patch", "/v4/experiments/a000/jobs/a000_POST/?status=READY"),
        ("patch", "/v4/experiments/a000/"),
    ],
)
def test_a_slash_at_the_end_keeps_what_is_sent(
    as_operator: APIClient, experiment: Experiment, method: str, path: str
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v4/experiments/a000/jobs/?status=READY": {"filter_section": ["SIM"]},
        "/v4/experiments/a000/": {"description": "x"},
    }
    assert getattr(as_operator, method)(path, bodies.get(path, {}), format="json").status_code == 202
