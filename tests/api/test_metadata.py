"""OPTIONS tells what a route takes, as DRF does."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.api.http.renderers import PortalView
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.urls import VIEWS, router, urlpatterns
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Experiment
from tests.api.test_errors import ROUTES, address
from tests.api.test_schema import operations

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

TAGS = {
    "/v4/experiments/{expid}/eta": "Experiments",
    "/v4/experiments/{expid}/permissions": "Experiments",
    "/v4/experiments/{expid}/runs": "Runs",
    "/v4/experiments/{expid}/runs/{run_id}/config": "Configurations",
    "/v4/experiments/{expid}/filesystem-config": "Configurations",
    "/v4/experiments/{expid}/wrappers": "Wrappers",
    "/v4/delegations": "Delegations",
    "/v4/freezes/{freeze_id}": "Freezes",
    "/v4/auth/verify-token": "Tokens",
    "/v4/schema": "Portal",
}


def options(client: APIClient, path: str) -> dict[str, Any]:
    answer = client.options(path)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("route", ROUTES)
def test_options_is_answered_where_allow_names_it(as_viewer: APIClient, experiment: Experiment, route: str) -> None:
    answer = as_viewer.options(address(route))
    assert answer.status_code == 200
    assert answer["Allow"].endswith("HEAD, OPTIONS") or answer["Allow"].endswith("OPTIONS")


def test_options_names_the_fields_of_a_body(as_viewer: APIClient, db: None) -> None:
    told = options(as_viewer, "/v4/tokens")
    assert told["parses"] == ["application/json"]
    assert told["actions"]["POST"]["name"]["type"] == "string"
    assert told["actions"]["POST"]["name"]["required"] is True


def test_options_tells_the_body_of_each_action(as_operator: APIClient, experiment: Experiment) -> None:
    told = options(as_operator, "/v4/experiments/a000")["actions"]
    assert told["POST"]["run"]["children"].keys() == {
        *(option.name for option in CATALOGUE["run"].options), "reason", "dry_run"
    }  # fmt: skip
    assert "description" in told["PATCH"]["update_description"]["children"]


@pytest.mark.parametrize("path", ["/v4/experiments/a000", "/v4/experiments/a0zz", "/v4/experiments"])
def test_options_tells_nobody_what_they_may_not_send(as_viewer: APIClient, experiment: Experiment, path: str) -> None:
    assert options(as_viewer, path)["actions"] == {}


def test_options_tells_an_operator_no_action_of_a_manager(as_operator: APIClient, experiment: Experiment) -> None:
    manages = {kind.name for kind in CATALOGUE.values() if kind.role is Role.MANAGER}
    assert manages
    told = options(as_operator, "/v4/experiments/a000")["actions"]
    assert not manages & told["POST"].keys()


def test_options_names_the_query_parameters(as_operator: APIClient, experiment: Experiment) -> None:
    told = options(as_operator, "/v4/experiments/a000/jobs")["parameters"]
    assert told["GET"]["order_by"]["type"] == "choice"
    assert told["PATCH"].keys() >= {"status", "live", "dry_run"}


def test_options_names_the_formats_of_an_export(as_viewer: APIClient, db: None) -> None:
    assert {"text/csv", "application/x-ndjson"} <= {*options(as_viewer, "/v4/audit")["renders"]}
    assert "text/csv" not in options(as_viewer, "/v4/audit/1")["renders"]


def test_options_needs_a_sign_in(api: Callable[..., APIClient], db: None) -> None:
    assert api().options("/v4/tokens").status_code == 401


def test_every_operation_stands_under_its_resource() -> None:
    tags = {path: described["tags"] for _, path, described in operations()}
    assert {path: tags[path] for path in TAGS} == {path: [tag] for path, tag in TAGS.items()}


def test_every_resource_is_a_viewset_on_the_router() -> None:
    assert all(issubclass(viewset, PortalViewSet) for _, viewset, _ in router.registry)
    assert len(urlpatterns) == len(router.urls) + 2 * len(VIEWS) + 1
    assert {str(address) for address in VIEWS} == {"healthz", "metrics", "v4/schema", "v4/docs"}
    views = [view for view in PortalView.__subclasses__() if not issubclass(view, PortalViewSet)]
    assert {view.__name__ for view in views} == {"HealthView", "MetricsView", "UnknownRouteView"}
