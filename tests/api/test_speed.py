"""What a list costs does not depend on how long it is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment
from tests.support import factories

# For the token with its account and all permissions of that; the rest is the list itself.
SIGN_IN_QUERIES = 1


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("/v4/experiments?page_size=500", 2),
        ("/v4/experiments/a000", 1),
        ("/v4/experiments/a000/jobs", 2),
        ("/v4/experiments/a000/jobs?page_size=1000", 3),
        ("/v4/experiments/a000/jobs/a000_POST", 4),
        ("/v4/experiments/a000/jobs/a000_POST/parents?include_status=true", 3),
        ("/v4/experiments/a000/runs", 2),
        ("/v4/experiments/a000/eta", 2),
        ("/v4/experiments/a000/wrappers", 2),
        ("/v4/actions?page_size=500", 1),
        ("/v4/audit?page_size=500", 1),
        ("/v4/sites", 2),
    ],
)
def test_queries_do_not_grow_with_the_rows(
    as_manager: APIClient, experiment: Experiment, path: str, queries: int
) -> None:
    for number in range(30):
        made = factories.create_experiment(experiment.site)
        factories.create_action(made)
        factories.create_run(experiment)
        made_job = factories.create_job(experiment, chunk=number, wrapper=f"a000_{number}")
        factories.create_dependency(made_job, experiment.jobs.get(name="a000_POST"))
        AuditEntry.objects.create(event=f"x.{number}", door="api")
    with CaptureQueriesContext(connection) as captured:
        assert as_manager.get(path).status_code == 200
    assert len(captured) == SIGN_IN_QUERIES + queries, [query["sql"][:150] for query in captured]
