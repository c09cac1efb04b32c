"""A client of Autosubmit API 4.2 finds what docs/compatibility.md says.

Each answer that Autosubmit API gave on a real store is compared with ours on the same store, field by field. What
differs must be in a table of that page, and what is in the table must differ.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import resolve
from rest_framework.test import APIClient

from autosubmit_portal.api.query.queries import ExperimentsQuery, JobsQuery
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment
from jobs.models import Job
from tests.access.test_routes import methods_of
from tests.api.conftest import RECORDED
from tests.conftest import REPOSITORY
from tests.support import factories, stores

pytestmark = pytest.mark.one_database

DOCUMENT = REPOSITORY / "docs" / "compatibility.md"
STORE = (RECORDED.parent / "real-store").resolve()
STATUS = "HTTP status"
# What a word of the table says of a value; `another` is told of both.
WORDS: dict[str, Callable[[Any], bool]] = {
    "a text": lambda value: isinstance(value, str) and value != "",
    "a number": lambda value: type(value) is int,
    "a value": lambda value: value not in (None, ""),
    "another": lambda value: value not in (None, ""),
}


@dataclass(frozen=True)
class Difference:
    """A field that Autosubmit API answers in one way and the portal in another."""

    path: str
    route: str
    field: str
    there: Any
    here: Any


@dataclass(frozen=True)
class Row:
    """A row of the table of differences."""

    routes: str
    fields: str
    there: str
    here: str

    def cells(self) -> Iterator["Row"]:
        """Yield a row for each of the routes and fields."""
        for route, field in product(_parts(self.routes), _parts(self.fields)):
            yield replace(self, routes=route, fields=field)

    def is_of(self, route: str) -> bool:
        """Return whether the row is about answers of this route."""
        routes = _parts(self.routes)
        return "all" in routes or route.replace("/v4/experiments/{expid}", "…") in routes

    def explains(self, difference: Difference) -> bool:
        """Return whether the row is about this difference."""
        return (
            self.is_of(difference.route)
            and difference.field in _parts(self.fields)
            and _fits(self.there, difference.there)
            and _fits(self.here, difference.here)
        )


def _parts(cell: str) -> list[str]:
    return [part.strip("`") for part in cell.split(", ")]


def _fits(cell: str, value: Any) -> bool:
    return WORDS[cell](value) if cell in WORDS else _same(json.loads(cell.strip("`")), value)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?:^## |\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


ROWS = [Row(*cells[:4]) for cells in table("Differences in the recorded answers")]
ROUTES = [(*cells[0].strip("`").split(), cells[1]) for cells in table("Routes")]
THERE = [route for method, route, here in ROUTES if (method, here) == ("GET", "yes")]


def compared(there: Any, here: Any, field: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each field of `there` that `here` lacks or has another value or type of; more fields are no difference."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name, value in there.items():
            inner = f"{field}.{name}".removeprefix(".")
            if name in here:
                yield from compared(value, here[name], inner)
            else:
                yield inner, value, "absent"
    elif isinstance(there, list) and isinstance(here, list):
        if len(there) != len(here):
            yield f"{field}[]", len(there), len(here)
        for one, other in zip(there, here, strict=False):
            yield from compared(one, other, f"{field}[]")
    elif not _same(there, here):
        yield field, there, here


# --- The recorded answers


def _cases() -> list[dict[str, Any]]:
    cases = json.loads((RECORDED / "manifest.json").read_text())["cases"]
    return [case for case in cases if case["route"] in THERE]


def _differences(client: APIClient, recorded: Callable[[str], Any]) -> Iterator[Difference]:
    for case in _cases():
        told = json.loads(json.dumps(recorded(case["path"])).replace("{ROOT}", str(STORE)))
        answer = client.get(case["path"])
        found = list(compared(case["status"], answer.status_code, STATUS))
        if (case["status"] < 400) == (answer.status_code < 400):  # else the bodies have nothing in common
            found += compared(told, answer.json())
        yield from (Difference(case["path"], case["route"], *parts) for parts in found)


_found: list[Difference] = []


@pytest.fixture
def differences(
    tmp_path: Path, api: Callable[..., APIClient], viewer: User, recorded: Callable[[str], Any]
) -> list[Difference]:
    """All differences; the store is mirrored and asked once for all tests."""
    if not _found:
        stores.configure(tmp_path, STORE)
        site = factories.create_site(autosubmit=sys.executable, home=str(tmp_path))
        SiteMirror(site.pk).look()
        _found.extend(_differences(api(viewer), recorded))
    return _found


def test_every_difference_from_autosubmit_api_has_its_reason_in_the_table(differences: list[Difference]) -> None:
    assert [found for found in differences if not any(row.explains(found) for row in ROWS)] == []


def test_the_table_has_no_difference_that_is_not_there(differences: list[Difference]) -> None:
    cells = [cell for row in ROWS for cell in row.cells() if any(map(cell.is_of, THERE))]
    assert [cell for cell in cells if not any(map(cell.explains, differences))] == []


# --- The routes


@pytest.mark.parametrize(("method", "route", "here"), ROUTES)
def test_a_route_is_there_when_the_table_says_so(method: str, route: str, here: str) -> None:
    path = route.format(expid="a000", job_name="a000_SIM", run_id=1)
    assert here == ("yes" if method.lower() in methods_of(resolve(path).func) else "no")


def test_every_route_of_autosubmit_api_is_in_the_table() -> None:
    if not RECORDED.exists():
        pytest.skip("the OpenAPI document of Autosubmit API is not beside the repository")
    paths = json.loads((RECORDED / "openapi.json").read_text())["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    current = {(method, path) for method, path in routes if re.match(r"/v4(/|$)", path)}
    assert {(method, route) for method, route, _ in ROUTES} == current


# --- What no recorded answer shows


FIELDS = {
    "/v4/experiments": (
        "experiments",
        "id name user description hpc version created modified status completed total submitted queuing running "
        "failed suspended",
    ),
    "/v4/experiments/a000": ("", "id name description autosubmit_version"),
    "/v4/experiments/a000/runs": ("runs", "run_id start finish"),
    "/v4/experiments/a000/jobs": (
        "jobs",
        "name status priority section date member chunk split splits out_path_local err_path_local out_path_remote "
        "err_path_remote",
    ),
    "/v4/experiments/a000/jobs?view=quick": ("jobs", "name status"),
    "/v4/experiments/a000/jobs/a000_POST": (
        "",
        "name status section date member chunk split splits out_path_local err_path_local chunk_size chunk_unit "
        "platform remote_id qos workflow_commit processors submit start finish wallclock last_wrapper",
    ),
    "/v4/experiments/a000/jobs/a000_POST/parents": ("parents", "job_name"),
    "/v4/experiments/a000/jobs/a000_POST/parents?include_status=true": ("parents", "job_name status"),
    "/v4/experiments/a000/jobs/a000_20000101_fc0_INI/children": ("children", "job_name"),
    "/v4/experiments/a000/wrappers": ("wrappers", "wrapper_name job_names"),
    "/v4/experiments/a000/eta": ("", "eta_seconds chunks_total chunks_remaining avg_runtime_per_chunk_seconds"),
    "/v4/experiments/a000/jobs?page_size=1": ("pagination", "page page_size total_pages page_items total_items"),
    "/v4/experiments/a0zz": ("", "error error_message"),
}


@pytest.mark.parametrize("path", FIELDS)
def test_an_answer_has_the_fields_of_autosubmit_api(as_viewer: APIClient, experiment: Experiment, path: str) -> None:
    factories.create_run(experiment)
    Job.objects.update(wrapper="a000_ASThread_1")
    key, fields = FIELDS[path]
    answer = as_viewer.get(path).json()
    part = answer[key] if key else answer
    assert set(fields.split()) <= (part[0] if isinstance(part, list) else part).keys()


def test_the_parameters_of_autosubmit_api_are_understood() -> None:
    filters = "query only_active owner exp_type autosubmit_version hpc order_by order_desc page page_size"
    assert ExperimentsQuery().fields.keys() >= set(filters.split())
    assert JobsQuery().fields.keys() >= {"view", "job_name", "status", "page", "page_size"}


# --- The comparison itself


@pytest.mark.parametrize(
    ("there", "here", "found"),
    [
        ({"a": 1}, {"a": 1, "ours": 2}, []),
        ({"a": None}, {}, [("a", None, "absent")]),
        ({"a": {"b": 1}}, {"a": {"b": 1.0}}, [("a.b", 1, 1.0)]),
        ({"a": [1, 2]}, {"a": [1]}, [("a[]", 2, 1)]),
        ({"a": [{"b": ""}]}, {"a": [{"b": None}]}, [("a[].b", "", None)]),
    ],
)
def test_a_comparison_finds_what_is_missing_or_other(there: Any, here: Any, found: list[Any]) -> None:
    assert list(compared(there, here)) == found


def test_a_row_explains_only_its_values() -> None:
    row = Row("`…/jobs`", "`a`, `b`", "`null`", "a number")
    assert row.explains(Difference("", "/v4/experiments/{expid}/jobs", "b", None, 3))
    assert not row.explains(Difference("", "/v4/experiments/{expid}/jobs", "b", None, "3"))
    assert not row.explains(Difference("", "/v4/experiments/{expid}/runs", "b", None, 3))


# --- What the page says of wrong and odd requests


@pytest.mark.parametrize("query", ["page=x", "page=0", "page_size=501", "exp_type=other", "order_by=colour"])
def test_a_wrong_value_of_a_list_is_a_400(as_viewer: APIClient, experiment: Experiment, query: str) -> None:
    assert as_viewer.get(f"/v4/experiments?{query}").status_code == 400


ROUTES_OF_ONE = [route for method, route, here in ROUTES if "{expid}" in route and here == "yes" and method == "GET"]


@pytest.mark.parametrize("route", ROUTES_OF_ONE)
def test_an_experiment_that_does_not_exist_is_a_404(as_viewer: APIClient, experiment: Experiment, route: str) -> None:
    path = route.format(expid="a0zz", job_name="a0zz_SIM", run_id=1)
    assert as_viewer.get(path).status_code == 404


@pytest.mark.parametrize(("text", "found"), [("100%", ["a001"]), ("%25", []), ("a_1", [])])
def test_a_text_is_searched_for_as_it_is(
    as_viewer: APIClient, experiment: Experiment, text: str, found: list[str]
) -> None:
    factories.create_experiment(experiment.site, expid="a001", description="100% ocean")
    answer = as_viewer.get("/v4/experiments", {"query": text, "only_active": "false"}).json()
    assert [row["name"] for row in answer["experiments"]] == found


@pytest.mark.parametrize("descending", ["true", "false"])
def test_an_experiment_without_a_date_comes_last(as_viewer: APIClient, experiment: Experiment, descending: str) -> None:
    Experiment.objects.update(created_at=None)
    dated = factories.create_experiment(experiment.site, expid="a001", created_at="2026-01-01T00:00:00Z")
    answer = as_viewer.get("/v4/experiments", {"order_by": "created", "order_desc": descending}).json()
    told = {row["name"]: row["created"] for row in answer["experiments"]}
    assert list(told) == [dated.expid, experiment.expid]
    assert told[experiment.expid] is None
