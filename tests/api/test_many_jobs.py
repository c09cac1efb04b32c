"""Ten thousand jobs named in one request; tests/system/test_many_jobs.py has the real Autosubmit change them."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from experiments.models import Action, Experiment
from jobs.models import Job
from tests.support import factories

PATH = "/v4/experiments/a000/jobs?status=SUSPENDED"
LONGEST_ARGUMENT_BYTES = 131_071  # of Linux


@pytest.fixture(scope="module")
def experiment(module_db: None) -> Experiment:
    """An experiment at the default site, for all tests here."""
    site = factories.create_site(slug="local", is_default=True)
    return factories.create_experiment(site, expid="a000", total_jobs=10_000)


@pytest.fixture(scope="module")
def names(experiment: Experiment) -> list[str]:
    """The names of its 10,000 jobs, about as long as they get."""
    made = [f"a000_20000101_fc{number % 100}_{number}_SIMULATION_ATMOSPHERE" for number in range(10_000)]
    rows: list[Any] = [Job(experiment=experiment, name=name, status="WAITING") for name in made]
    Job.objects.bulk_create(rows, batch_size=1000)
    return made


def test_ten_thousand_names_become_commands_that_the_system_takes(as_operator: APIClient, names: list[str]) -> None:
    answer = as_operator.patch(PATH, {"jobs": names}, format="json")
    assert (answer.status_code, answer.json()["jobs"]) == (202, names)
    last = [argv[-1] for argv in Action.objects.get().command]
    assert [name for text in last for name in text.removeprefix("--list=").split()] == names
    assert len(last) > 1
    assert max(len(text.encode()) for text in last) <= LONGEST_ARGUMENT_BYTES


def test_their_number_does_not_cost_queries(as_operator: APIClient, names: list[str]) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert as_operator.patch(PATH, {"jobs": names}, format="json").status_code == 202
    assert len(captured) <= 15  # with those that keep what the host says that it may run


def test_unknown_ones_among_them_are_counted_and_a_few_named(as_operator: APIClient, names: list[str]) -> None:
    answer = as_operator.patch(PATH, {"jobs": [*names, *(f"x{n}" for n in range(200))]}, format="json")
    assert answer.json()["errors"] == {"jobs": ["Not a job of a000: x0, x1, x2, x3, x4 and 195 more."]}


def test_a_body_longer_than_the_limit_is_refused_with_a_remedy(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.patch(PATH, {"jobs": ["a000_SIM"] * 300_000}, format="json")
    assert (answer.status_code, "Use a filter instead" in answer.json()["detail"]) == (413, True)


def test_a_list_of_actions_names_a_few_and_counts_the_rest(as_operator: APIClient, names: list[str]) -> None:
    whole = as_operator.patch(PATH, {"jobs": names}, format="json").json()
    Action.objects.update(job_changes=[[name, "SUSPENDED"] for name in names])
    answer = as_operator.get("/v4/actions")
    shown = answer.json()["results"][0]
    assert (shown["jobs"], shown["jobs_count"]) == (names[:20], 10_000)
    assert shown["parameters"] == {"jobs": names[:20], "jobs_count": 10_000, "status": "SUSPENDED"}
    assert (len(shown["job_changes"]), shown["job_changes_count"]) == (20, 10_000)
    assert shown["command"][0][:4] == whole["command"][0][:4]
    assert len(answer.content) < 50_000
    assert as_operator.get(shown["url"]).json()["jobs"] == names


def test_the_trail_names_a_few_and_its_entries_all(
    as_operator: APIClient, as_manager: APIClient, names: list[str]
) -> None:
    as_operator.patch(PATH, {"jobs": names}, format="json")
    answer = as_manager.get("/v4/audit?event=action.requested")
    entry = answer.json()["results"][0]
    assert entry["details"]["parameters"]["jobs_count"] == 10_000
    assert len(answer.content) < 50_000
    whole = as_manager.get(f"/v4/audit/{entry['id']}").json()
    assert whole["details"]["parameters"]["jobs"] == names
    assert whole.keys() == entry.keys()


@pytest.mark.parametrize("table", ["action", "auditentry"])
def test_the_lists_of_the_console_do_not_read_them(
    client: Client, admin_user: User, as_operator: APIClient, names: list[str], table: str
) -> None:
    as_operator.patch(PATH, {"jobs": names[:100]}, format="json")
    client.force_login(admin_user)
    app = "experiments" if table == "action" else "audit"
    with CaptureQueriesContext(connection) as captured:
        assert client.get(reverse(f"admin:{app}_{table}_changelist")).status_code == 200
    read = [query["sql"] for query in captured if f'FROM "{app}_{table}"' in query["sql"]]
    assert read
    assert not [sql for sql in read if f'"{app}_{table}"."parameters"' in sql or '"details"' in sql]
