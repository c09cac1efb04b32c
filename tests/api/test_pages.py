"""Pages by cursor: whole, stable, and closed to what is no cursor."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.api.query.filters import experiments as experiment_filters
from autosubmit_portal.api.query.filters import jobs as job_filters
from experiments.models import Experiment, Site
from jobs.models import Job
from tests.support import factories

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def many(site: Site) -> list[Experiment]:
    """Seven experiments with equal, different and missing values in every column."""
    return [
        factories.create_experiment(
            site,
            expid=f"a{number:03d}",
            owner=("ana", "", "ben")[number % 3],
            autosubmit_id=number % 4,
            created_at=START + timedelta(days=number % 2, microseconds=number) if number % 3 else None,
            changed_at=START if number == 5 else None,
            refreshed_at=None,
            is_running=number % 2 == 0,
            status_counts={"FAILED": number % 3} if number % 3 else {},
            total_jobs=number % 2,
        )
        for number in range(7)
    ]


@pytest.fixture
def many_jobs(experiment: Experiment) -> None:
    """Jobs with equal, different and missing values in every column."""
    for number in range(6):
        factories.create_job(
            experiment,
            f"a000_{number}",
            chunk=number % 2 or None,
            split=number if number % 3 else None,
            date=START if number % 2 else None,
            started_at=START + timedelta(seconds=number % 3) if number % 4 else None,
            section=("SIM", "", "POST")[number % 3],
            fail_count=number % 2,
        )


def walk(client: APIClient, address: str, way: str) -> Iterator[list[str]]:
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.data
        body = answer.json()
        yield [item["name"] for item in body.get("experiments", body.get("jobs"))]
        address = body["pagination"][way]


def joined(pages: Iterable[list[str]]) -> list[str]:
    return list(chain.from_iterable(pages))


def last_address(client: APIClient, address: str) -> str:
    found = address
    while address:
        found, address = address, client.get(address).json()["pagination"]["next"]
    return found


@pytest.mark.parametrize("is_descending", ["true", "false"])
@pytest.mark.parametrize("order", experiment_filters.ORDERS)
def test_cursors_lead_through_all_experiments_and_back_in_every_order(
    as_viewer: APIClient, many: list[Experiment], order: str, is_descending: str
) -> None:
    address = f"/v4/experiments?order_by={order}&order_desc={is_descending}"
    whole = next(walk(as_viewer, f"{address}&page_size=100", "next"))
    assert sorted(whole) == [made.expid for made in many]
    assert joined(walk(as_viewer, f"{address}&page_size=3", "next")) == whole
    back = list(walk(as_viewer, last_address(as_viewer, f"{address}&page_size=3"), "previous"))
    assert joined(reversed(back)) == whole


@pytest.mark.parametrize("is_descending", ["true", "false"])
@pytest.mark.parametrize("order", job_filters.ORDERS)
def test_cursors_lead_through_all_jobs_and_back_in_every_order(
    as_viewer: APIClient, many_jobs: None, order: str, is_descending: str
) -> None:
    address = f"/v4/experiments/a000/jobs?order_by={order}&order_desc={is_descending}"
    whole = next(walk(as_viewer, address, "next"))
    assert len(whole) == 9
    assert joined(walk(as_viewer, f"{address}&page_size=3", "next")) == whole
    back = list(walk(as_viewer, last_address(as_viewer, f"{address}&page_size=3"), "previous"))
    assert joined(reversed(back)) == whole


@pytest.mark.parametrize("order", ["created", "changed_at"])
@pytest.mark.parametrize("is_descending", ["true", "false"])
def test_what_has_no_value_comes_last(
    as_viewer: APIClient, many: list[Experiment], order: str, is_descending: str
) -> None:
    address = f"/v4/experiments?order_by={order}&order_desc={is_descending}&page_size=100"
    values = [item["modified" if order == "changed_at" else order] for item in get(as_viewer, address)]
    assert values == [value for value in values if value] + [value for value in values if not value]


def get(client: APIClient, address: str) -> Any:
    return client.get(address).json()["experiments"]


def test_a_page_by_cursor_is_not_shifted_by_what_is_added(as_viewer: APIClient, many: list[Experiment]) -> None:
    address = as_viewer.get("/v4/experiments?page_size=3").json()["pagination"]["next"]
    factories.create_experiment(many[0].site, expid="a0000")
    assert next(walk(as_viewer, address, "next")) == ["a003", "a004", "a005"]


def test_a_page_by_number_leads_on_by_cursor(as_viewer: APIClient, many: list[Experiment]) -> None:
    pages = as_viewer.get("/v4/experiments?page_size=2&page=2").json()["pagination"]
    assert next(walk(as_viewer, pages["next"], "next")) == ["a004", "a005"]
    assert next(walk(as_viewer, pages["previous"], "next")) == ["a000", "a001"]
    assert as_viewer.get(pages["next"]).json()["pagination"]["page"] is None


def test_a_deep_page_passes_no_rows_over(as_viewer: APIClient, experiment: Experiment) -> None:
    names = [f"a000_{number:04d}" for number in range(500)]
    Job.objects.bulk_create([Job(experiment=experiment, name=name, status="WAITING") for name in names])
    pages = as_viewer.get("/v4/experiments/a000/jobs?page_size=10&page=40").json()["pagination"]
    with CaptureQueriesContext(connection) as captured:
        assert as_viewer.get(pages["next"]).json()["jobs"][0]["name"] == names[400]
    assert not [query for query in captured if "OFFSET" in query["sql"]]


@pytest.mark.parametrize(
    "address", ["/v4/experiments", "/v4/experiments/a000/jobs", "/v4/actions", "/v4/audit", "/v4/sites"]
)
@pytest.mark.parametrize("change", [lambda text: f"{text}x", lambda text: text[1:], lambda text: "a:b"])
def test_a_cursor_that_was_tampered_with_is_refused(
    as_manager: APIClient, experiment: Experiment, address: str, change: Any
) -> None:
    own = as_manager.get("/v4/experiments/a000/jobs?page_size=2").json()["pagination"]["next"]
    cursor = change(own.partition("cursor=")[2].partition("&")[0])
    answer = as_manager.get(address, {"cursor": cursor, "page_size": 2})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["cursor"])


def test_a_cursor_of_another_order_is_refused(as_viewer: APIClient, many: list[Experiment]) -> None:
    address = as_viewer.get("/v4/experiments?page_size=2").json()["pagination"]["next"]
    answer = as_viewer.get(f"{address}&order_by=user")
    errors = {"cursor": ["It belongs to another order; begin anew without it."]}
    assert (answer.status_code, answer.json()["errors"]) == (400, errors)


def test_a_cursor_of_jobs_needs_the_size_of_its_page(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get("/v4/experiments/a000/jobs?cursor=x")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["page_size"])
