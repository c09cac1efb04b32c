"""Queries whose SQL is made once answer what their QuerySets answer."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autosubmit_portal.db.compiled_query import CompiledQuery
from experiments.models import Experiment
from experiments.models.action import annotate_active_action_id
from tests.support import factories

pytestmark = pytest.mark.django_db

BY_EXPID: CompiledQuery[Experiment] = CompiledQuery(
    lambda expid: annotate_active_action_id(Experiment.objects.filter(expid=expid)),
    "site",
    annotations=("active_action_id",),
)
PARTS: CompiledQuery[Experiment] = CompiledQuery(
    lambda expid: Experiment.objects.filter(expid=expid),
    "site",
    only=("id", "expid", "site_id"),
    only_related=("id", "slug"),
)


def test_a_compiled_query_returns_whole_rows(experiment: Experiment) -> None:
    [found] = BY_EXPID.read_rows(experiment.expid)
    expected = Experiment.objects.select_related("site").get()
    with CaptureQueriesContext(connection) as queries:
        for row, same in ((found, expected), (found.site, expected.site)):
            names = [field.attname for field in row._meta.concrete_fields]
            assert [getattr(row, name) for name in names] == [getattr(same, name) for name in names]
        assert found.active_action_id is None  # type: ignore[attr-defined]
    assert not queries.captured_queries


def test_a_compiled_query_reads_the_columns_that_are_named(experiment: Experiment) -> None:
    [found] = PARTS.read_rows(experiment.expid)
    assert found.get_deferred_fields() >= {"status_counts", "refreshed_at"}
    assert found.site.get_deferred_fields() >= {"home", "configuration"}
    assert (found.pk, found.site.slug) == (experiment.pk, experiment.site.slug)
    assert found.status_counts == experiment.status_counts


def test_a_compiled_query_takes_another_value_each_time(experiment: Experiment) -> None:
    other = factories.create_experiment(experiment.site, expid="a001")
    found = [[row.expid for row in BY_EXPID.read_rows(expid)] for expid in ("a001", "a000", "none", other.expid)]
    assert found == [["a001"], ["a000"], [], ["a001"]]


def test_what_a_compiled_query_is_given_is_never_sql(experiment: Experiment) -> None:
    assert BY_EXPID.read_rows("a000' OR '1'='1") == []


def test_a_compiled_query_is_one_query(experiment: Experiment) -> None:
    BY_EXPID.read_rows("a000")
    with CaptureQueriesContext(connection) as queries:
        BY_EXPID.read_rows("a000")
    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
def test_threads_ask_compiled_queries_side_by_side(experiment: Experiment) -> None:
    def ask(_: int) -> list[str]:
        try:
            return [row.expid for row in BY_EXPID.read_rows("a000")]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(map(tuple, pool.map(ask, range(40)))) == {("a000",)}
