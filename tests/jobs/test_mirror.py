"""The difference between a job list and its rows."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Experiment
from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_record import JobRecord
from jobs.mirror import Row, make_rows, sync_jobs
from jobs.models import Job, JobDependency
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def experiment() -> Experiment:
    """An experiment whose thousand jobs are mirrored."""
    made = factories.create_experiment()
    sync_jobs(made.pk, make_rows(records("WAITING"), {}), list)
    return made


def records(status: str) -> list[JobRecord]:
    return [
        JobRecord(
            name=f"a000_{number}_SIM",
            status=status,
            section="SIM",
            date=None,
            member="",
            chunk=number,
            split=None,
            splits=None,
            priority=0,
            platform="LOCAL",
            remote_id=None,
            wallclock="00:05",
            processors="1",
            out_log="",
            err_log="",
            out_log_remote="",
            err_log_remote="",
            fail_count=0,
        )
        for number in range(1000)
    ]


def test_only_what_differs_is_written(experiment: Experiment) -> None:
    with CaptureQueriesContext(connection) as captured:
        sync_jobs(experiment.pk, make_rows(records("SUSPENDED"), {}), list)
    updates = [query["sql"] for query in captured if "UPDATE" in query["sql"]]
    assert updates
    assert not [sql for sql in updates if '"section"' in sql]
    assert Job.objects.filter(status="SUSPENDED", section="SIM").count() == 1000


def test_nothing_is_written_when_nothing_differs(experiment: Experiment) -> None:
    with CaptureQueriesContext(connection) as captured:
        sync_jobs(experiment.pk, make_rows(records("WAITING"), {}), list)
    assert not [query["sql"] for query in captured if query["sql"].startswith(("UPDATE", "INSERT", "DELETE"))]


def test_edges_that_are_known_are_not_read_again(experiment: Experiment) -> None:
    def unread() -> list[tuple[str, str]]:
        raise AssertionError("read again")

    sync_jobs(experiment.pk, make_rows(records("READY"), {}), unread, are_edges_known=True)


def test_edges_are_read_again_when_jobs_came(experiment: Experiment) -> None:
    some = records("WAITING")
    new = replace(some[0], name="a000_NEW")
    sync_jobs(experiment.pk, make_rows([*some, new], {}), lambda: [(some[0].name, new.name)], are_edges_known=True)
    assert JobDependency.objects.filter(child__name="a000_NEW").count() == 1


def test_what_changed_is_told_by_name(experiment: Experiment) -> None:
    some = records("WAITING")
    changed = [replace(some[0], status="READY"), replace(some[0], name="a000_NEW"), *some[2:]]
    difference = sync_jobs(experiment.pk, make_rows(changed, {}), list)
    assert difference.moved == {("WAITING", "READY"): [some[0].name]}
    assert (difference.added, difference.removed) == (["a000_NEW"], [some[1].name])


@pytest.mark.parametrize("is_remembered", [False, True])
@pytest.mark.parametrize("begin", [0, 200, 800])
def test_a_list_generated_again_may_shift_the_jobs_and_their_edges(
    experiment: Experiment, begin: int, is_remembered: bool
) -> None:
    names = [f"a000_{number}_SIM" for number in range(2000)]
    before = shift(experiment, names[500:1500])
    shift(experiment, names[begin : begin + 1000], before if is_remembered else None)
    shown = Job.objects.filter(experiment=experiment).order_by("chunk").values_list("name", flat=True)
    assert [*shown] == names[begin : begin + 1000]
    edges = JobDependency.objects.filter(parent__experiment=experiment)
    assert {*edges.values_list("parent__name", "child__name")} == {*pairwise(shown)}


def shift(experiment: Experiment, names: list[str], known: Mapping[str, Row] | None = None) -> Mapping[str, Row]:
    """Mirror a chain of jobs whose chunks are their places."""
    (template, *_) = records("WAITING")
    rows = make_rows([replace(template, name=name, chunk=place) for place, name in enumerate(names)], {})
    sync_jobs(experiment.pk, rows, lambda: [*pairwise(names)], known=known)
    return rows


def test_times_that_have_not_changed_are_not_written_again(experiment: Experiment) -> None:
    some = [replace(record, date=datetime(2000, 1, 1, tzinfo=UTC)) for record in records("WAITING")]
    sync_jobs(experiment.pk, make_rows(some, {}), list)
    with CaptureQueriesContext(connection) as captured:
        sync_jobs(experiment.pk, make_rows(some, {}), list)
    assert not [query["sql"] for query in captured if "UPDATE" in query["sql"]]


def test_texts_that_are_too_long_are_cut(experiment: Experiment) -> None:
    some = records("WAITING")
    sync_jobs(experiment.pk, make_rows([replace(some[0], section="S" * 500, err_log_remote="e" * 600)], {}), list)
    job = Job.objects.get(experiment=experiment)
    assert (job.section, job.err_log_remote) == ("S" * 100, "e" * 500)


AT = datetime(2026, 11, 24, tzinfo=UTC)
ATTEMPT = JobTimes(
    name="a000_0_SIM",
    run_id=1,
    status="COMPLETED",
    submitted_at=AT,
    started_at=AT,
    finished_at=AT,
    platform="MARENOSTRUM",
    qos="debug",
    wallclock="01:00",
    out_log="x.out",
    err_log="x.err",
    workflow_commit="abc",
    ncpus=16,
    remote_id=7,
)


def mirrored(experiment: Experiment, record: JobRecord) -> Job:
    """Return the row of a job whose newest attempt in the history is ATTEMPT."""
    sync_jobs(experiment.pk, make_rows([record], {record.name: ATTEMPT}), list)
    return Job.objects.get(experiment=experiment)


def test_what_the_job_list_does_not_say_comes_from_the_history(experiment: Experiment) -> None:
    job = mirrored(experiment, replace(records("COMPLETED")[0], platform="", processors=""))
    assert (job.platform, job.processors, job.wallclock) == ("MARENOSTRUM", "16", "00:05")
    assert (job.qos, job.finished_at, job.out_log, job.remote_id) == ("debug", AT, "x.out", 7)


def test_the_number_of_the_job_list_never_stands_beside_the_times_of_the_history(experiment: Experiment) -> None:
    record = replace(records("COMPLETED")[0], remote_id=6, out_log="w.out")
    job = mirrored(experiment, record)
    assert (job.remote_id, job.platform, job.out_log) == (7, "MARENOSTRUM", "x.out")


def test_a_job_that_runs_again_has_nothing_of_the_attempt_before(experiment: Experiment) -> None:
    job = mirrored(experiment, replace(records("RUNNING")[0], remote_id=8, out_log="y.out"))
    assert (job.submitted_at, job.started_at, job.finished_at, job.qos) == (None, None, None, "")
    assert (job.remote_id, job.platform, job.out_log) == (8, "LOCAL", "y.out")


def test_a_job_that_was_reset_has_no_number_and_no_logs_of_its_own(experiment: Experiment) -> None:
    job = mirrored(experiment, replace(records("WAITING")[0], remote_id=7, out_log="x.out"))
    assert (job.remote_id, job.out_log, job.finished_at, job.platform) == (None, "", None, "LOCAL")
