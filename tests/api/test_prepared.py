"""Queries whose SQL is made once answer what their QuerySets answer."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autosubmit_portal.db.compiled_query import Prepared
from experiments.models import Experiment, with_active_action
from jobs.models import Job
from tests.support import factories

pytestmark = pytest.mark.django_db

BY_EXPID: Prepared[Experiment] = Prepared(
    lambda expid: with_active_action(Experiment.objects.filter(expid=expid).select_related("site")), str
)


def test_a_prepared_query_returns_objects_with_what_they_relate_to(experiment: Experiment) -> None:
    [found] = BY_EXPID.rows(experiment.expid)
    with CaptureQueriesContext(connection) as queries:
        told = (found.site.slug, found.status_counts, found.refreshed_at, found.active_action_id)  # type: ignore[attr-defined]
    assert (found, *told) == (
        experiment,
        experiment.site.slug,
        experiment.status_counts,
        experiment.refreshed_at,
        None,
    )
    assert not queries.captured_queries


def test_a_prepared_query_takes_another_value_each_time(experiment: Experiment) -> None:
    other = factories.create_experiment(experiment.site, expid="a001")
    found = [[row.expid for row in BY_EXPID.rows(expid)] for expid in ("a001", "a000", "none", other.expid)]
    assert found == [["a001"], ["a000"], [], ["a001"]]


def test_a_prepared_query_takes_each_value_for_its_place(experiment: Experiment) -> None:
    jobs: Prepared[Any] = Prepared(
        lambda name, pk, section: Job.objects.filter(experiment=pk, section=section, name=name).values_list(
            "name", "section"
        ),
        *(str, int, str),
    )
    name = "a000_20000101_fc0_1_SIM"
    assert jobs.rows(name, experiment.pk, "SIM") == [(name, "SIM")]
    assert jobs.rows("SIM", experiment.pk, name) == []


def test_what_a_prepared_query_is_given_is_never_sql(experiment: Experiment) -> None:
    assert BY_EXPID.rows("a000' OR '1'='1") == []


def test_a_prepared_query_is_one_query(experiment: Experiment) -> None:
    BY_EXPID.rows("a000")
    with CaptureQueriesContext(connection) as queries:
        BY_EXPID.rows("a000")
    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
def test_threads_ask_prepared_queries_side_by_side(experiment: Experiment) -> None:
    def ask(_: int) -> list[str]:
        try:
            return [row.expid for row in BY_EXPID.rows("a000")]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(map(tuple, pool.map(ask, range(40)))) == {("a000",)}
