"""Lists of jobs never read or sort the whole table: the plans of their queries, on a table that is filled enough."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from experiments.models import Experiment
from jobs.models import Job
from tests.support import factories

EXPERIMENTS, JOBS = 20, 500
SCANS = ("Seq Scan on jobs_job", "USE TEMP B-TREE FOR ORDER BY", "reads all")
LISTS = ["", "?status=RUNNING", "?experiment={pk}", "?experiment={pk}&status=RUNNING", "?q=zz9"]


@pytest.fixture(scope="module")
def filled(module_db: None) -> Experiment:
    site = factories.create_site()
    experiments = [factories.create_experiment(site, total_jobs=JOBS) for _ in range(EXPERIMENTS)]
    Job.objects.bulk_create(
        Job(
            experiment=experiment,
            name=f"{experiment.expid}_{number:04}_SIM",
            section="SIM",
            status="RUNNING" if number == 7 else "COMPLETED",
        )
        for experiment in experiments
        for number in range(JOBS)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # what waits to be put into the index makes it look dear
            cursor.execute("SELECT gin_clean_pending_list('jobs_name_trigrams')")
        cursor.execute("ANALYZE")
    return experiments[3]


def plans(captured: CaptureQueriesContext) -> list[str]:
    """Return the plan of each page of jobs that was asked for."""
    asked = [query["sql"] for query in captured.captured_queries]
    pages = [sql for sql in asked if 'FROM "jobs_job"' in sql and "ORDER BY" in sql]
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    found = []
    with connection.cursor() as cursor:
        for sql in pages:
            cursor.execute(f"{explain} {sql}")
            steps = [str(row[-1]) for row in cursor.fetchall()]
            found.append(
                "\n".join([*steps, *(["reads all"] if "SCAN jobs_job" in steps and "WHERE" in sql else [])])
            )
    return found


@pytest.mark.parametrize("query", LISTS)
def test_a_page_of_jobs_reads_no_more_than_it_shows(query: str, filled: Experiment, manager: User) -> None:
    client = Client()
    client.force_login(manager)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"/jobs/job/{query.format(pk=filled.pk)}").status_code == 200
    assert plans(captured)
    assert not [plan for plan in plans(captured) if any(scan in plan for scan in SCANS)]


@pytest.mark.parametrize("query", ["", "&status=RUNNING"])
def test_a_page_of_the_jobs_of_an_experiment_reads_no_more_than_it_shows(
    query: str, filled: Experiment, manager: User
) -> None:
    client = APIClient()
    client.force_authenticate(manager)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"/v4/experiments/{filled.expid}/jobs?page_size=50{query}").status_code == 200
    assert not [plan for plan in plans(captured) if "Seq Scan on jobs_job" in plan or "reads all" in plan]
