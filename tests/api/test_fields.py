"""Answers with only the fields that were asked for."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from autosubmit_portal.api.query.selection import list_names, make_selection
from autosubmit_portal.api.serializers.experiments import ExperimentDetail
from autosubmit_portal.api.serializers.jobs import JobItem
from experiments.models import Experiment, annotate_active_action
from tests.support import factories

pytestmark = pytest.mark.one_database

SIM = "/v4/experiments/a000/jobs/a000_20000101_fc0_1_SIM"


@pytest.mark.parametrize(
    ("path", "key", "names"),
    [
        ("/v4/experiments", "experiments", ["name", "status", "failed"]),
        ("/v4/experiments/a000", "", ["model", "site"]),
        ("/v4/experiments/a000/runs", "runs", ["run_id", "finish"]),
        ("/v4/experiments/a000/jobs", "jobs", ["name", "platform", "submit", "date"]),
        ("/v4/experiments/a000/jobs?page_size=2&order_by=status", "jobs", ["chunk"]),
        (SIM, "", ["status", "out_path_local"]),
    ],
)
def test_only_the_fields_that_are_named_are_answered(
    as_viewer: APIClient, experiment: Experiment, path: str, key: str, names: list[str]
) -> None:
    factories.create_run(experiment)
    body = as_viewer.get(path + ("&" if "?" in path else "?") + f"fields={','.join(names)}").json()
    assert set(body[key][0] if key else body) == set(names)


@pytest.mark.parametrize("path", ["/v4/experiments", "/v4/experiments/a000", "/v4/experiments/a000/jobs"])
def test_an_unknown_field_is_answered_with_the_legal_ones(
    as_viewer: APIClient, experiment: Experiment, path: str
) -> None:
    answer = as_viewer.get(f"{path}?fields=name,colour")
    assert answer.status_code == 400
    assert answer.json()["errors"]["fields"][0].startswith("“colour” is not one of ")


def test_a_list_reads_only_the_columns_of_its_fields(as_viewer: APIClient, experiment: Experiment) -> None:
    with CaptureQueriesContext(connection) as captured:
        as_viewer.get("/v4/experiments?fields=name")
    read = next(query["sql"] for query in captured if 'FROM "experiments_experiment"' in query["sql"])
    assert '"expid"' in read
    assert '"description"' not in read
    assert '"experiments_site"' not in read


def test_every_field_of_a_job_can_be_asked_for(as_viewer: APIClient, experiment: Experiment) -> None:
    names = list_names(JobItem)
    job = as_viewer.get(f"/v4/experiments/a000/jobs?fields={','.join(names)}").json()["jobs"][0]
    assert list(job) == names


def test_a_selection_writes_what_the_serializer_writes(experiment: Experiment) -> None:
    row = annotate_active_action(Experiment.objects.annotate_run_host().select_related("site")).get(pk=experiment.pk)
    assert make_selection(ExperimentDetail, None).write(row) == ExperimentDetail(row).data
