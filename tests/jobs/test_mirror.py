"""The difference between a job list and its rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Experiment
from jobs.autosubmit.job_list import JobRecord
from jobs.mirror import sync
from jobs.models import Job
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def experiment() -> Experiment:
    """An experiment whose thousand jobs are mirrored."""
    made = factories.create_experiment()
    sync(made.pk, records("WAITING"), {}, [])
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
        sync(experiment.pk, records("SUSPENDED"), {}, [])
    updates = [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]
    assert updates
    assert not [sql for sql in updates if '"section"' in sql]
    assert Job.objects.filter(status="SUSPENDED", section="SIM").count() == 1000


def test_nothing_is_written_when_nothing_differs(experiment: Experiment) -> None:
    with CaptureQueriesContext(connection) as captured:
        sync(experiment.pk, records("WAITING"), {}, [])
    assert not [query["sql"] for query in captured if query["sql"].startswith(("UPDATE", "INSERT", "DELETE"))]
