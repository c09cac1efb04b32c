"""What a list costs does not depend on how long it is."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment
from jobs.models import Job
from tests import factories

# One for the token with its account, one for all permissions of the account; the rest is the list itself.
SIGN_IN_QUERIES = 2


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("/v4/experiments?page_size=500", 2),
        ("/v4/experiments/a000", 1),
        ("/v4/experiments/a000/jobs", 2),
        ("/v4/experiments/a000/jobs?page_size=1000", 3),
        ("/v4/experiments/a000/jobs/a000_POST", 3),
        ("/v4/experiments/a000/jobs/a000_POST/parents?include_status=true", 3),
        ("/v4/experiments/a000/runs", 2),
        ("/v4/actions?page_size=500", 1),
        ("/v4/audit?page_size=500", 1),
        ("/v4/sites", 1),
    ],
)
def test_queries_do_not_grow_with_the_rows(
    as_manager: APIClient, experiment: Experiment, path: str, queries: int
) -> None:
    for number in range(30):
        made = factories.create_experiment(experiment.site)
        factories.create_action(made)
        factories.create_run(experiment)
        factories.create_dependency(factories.create_job(experiment), experiment.jobs.get(name="a000_POST"))
        AuditEntry.objects.create(event=f"x.{number}", door="api")
    with CaptureQueriesContext(connection) as captured:
        assert as_manager.get(path).status_code == 200
    assert len(captured) == SIGN_IN_QUERIES + queries, [query["sql"][:150] for query in captured]


def test_ten_thousand_jobs_are_answered_in_well_under_a_second(
    api: Callable[..., APIClient], viewer: User, experiment: Experiment
) -> None:
    many: list[Any] = [
        Job(experiment=experiment, name=f"a000_{n}_SIM", status="WAITING") for n in range(10_000)
    ]
    Job.objects.bulk_create(many, batch_size=1000)
    client = api(viewer)
    started = time.perf_counter()
    assert len(client.get("/v4/experiments/a000/jobs").content) > 1_000_000
    assert time.perf_counter() - started < 1.0
