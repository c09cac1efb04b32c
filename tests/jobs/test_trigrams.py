"""The index that finds jobs by a part of their name."""

from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from experiments.models import Experiment
from jobs import trigrams
from jobs.mirror import make_rows, sync_jobs
from jobs.models import Job
from tests.jobs.test_mirror import records
from tests.support import factories

only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps its index itself")


@pytest.fixture
def experiment(db: None) -> Experiment:
    made = factories.create_experiment()
    for name in ("a000_INI", "a000_POST"):
        factories.create_job(made, name)
    return made


def found(text: str) -> list[str]:
    jobs = Job.objects.filter(name__icontains=text)
    return sorted(trigrams.narrow(jobs, text).values_list("name", flat=True))


def test_the_index_of_names_is_known_to_be_there_and_to_be_missing(db: None) -> None:
    assert not trigrams.is_missing()
    factories.drop_index_of_names()
    assert trigrams.is_missing()


@only_sqlite
def test_jobs_that_come_change_and_go_are_found_by_their_names_of_now(experiment: Experiment) -> None:
    factories.create_job(experiment, "a000_COMES")
    Job.objects.filter(name="a000_INI").update(name="a000_CHANGED")
    Job.objects.filter(name="a000_POST").delete()
    assert [found(text) for text in ("_comes", "_INI", "_CHANG", "POST")] == [["a000_COMES"], [], ["a000_CHANGED"], []]


@only_sqlite
@pytest.mark.parametrize("text", ["", "a0", "000", "a000_I", "%", "_\\_", "NEAR", "a AND", "-*^:", "ÄÖÜ", "x" * 3000])
def test_a_search_with_the_index_finds_what_one_without_finds(experiment: Experiment, text: str) -> None:
    for name in ("a000_NEAR", "a000_-*^:", "a000_äöü", "a000_a AND"):
        factories.create_job(experiment, name)
    assert found(text) == sorted(Job.objects.filter(name__icontains=text).values_list("name", flat=True))


@only_sqlite
def test_the_index_is_made_anew_after_a_migration_that_has_made_the_table_anew(experiment: Experiment) -> None:
    factories.drop_index_of_names()
    factories.create_job(experiment, "a000_MEANWHILE")
    assert found("MEANWHILE") == ["a000_MEANWHILE"]
    trigrams.restore_index()
    assert (trigrams.is_missing(), found("MEANWHILE")) == (False, ["a000_MEANWHILE"])


@only_sqlite
def test_a_word_that_is_in_very_many_names_is_looked_for_without_the_index(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigrams, "MOST_CANDIDATES", 1)
    jobs = Job.objects.all()
    assert trigrams.narrow(jobs, "a000") is jobs
    assert trigrams.narrow(jobs, "INI") is not jobs


def mirrored(experiment: Experiment, prefix: str) -> int:
    """Mirror a list of fifty jobs and return how many statements wrote the index: a trigger's are not among them."""
    jobs = [replace(record, name=f"a000_{prefix}_{record.chunk}") for record in records("READY")[:50]]
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        sync_jobs(experiment.pk, make_rows(jobs, {}), list)
    return sum(query["sql"].startswith("INSERT INTO jobs_names") for query in captured)


@only_sqlite
def test_the_mirror_writes_the_index_once_for_all_jobs_that_come_and_for_those_that_go(experiment: Experiment) -> None:
    assert mirrored(experiment, "OLD") == 2
    assert mirrored(experiment, "NEW") == 2
    factories.create_job(experiment, "a000_LATER")
    assert [len(found(text)) for text in ("_OLD_", "_NEW_", "POST", "LATER")] == [0, 50, 0, 1]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_names(jobs_names, rank) VALUES ('integrity-check', 1)")


@only_sqlite
def test_many_jobs_that_are_not_written_after_all_leave_the_index_as_it_was(experiment: Experiment) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(), trigrams.write_in_bulk([Job.objects.all()]):
        raise ZeroDivisionError
    assert not trigrams.is_missing()
    assert found("a000_I") == ["a000_INI"]
