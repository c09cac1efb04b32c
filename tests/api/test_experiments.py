"""Reading experiments."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.forecast.forecast import Forecast, tell_forecast
from experiments.models import Experiment, Site
from tests.support import factories

PAGE = {"page": 1, "page_size": 12, "total_pages": 1, "page_items": 1, "total_items": 1, "next": None, "previous": None}


def expids(client: APIClient, **query: Any) -> list[str]:
    answer = client.get("/v4/experiments", query)
    assert answer.status_code == 200, answer.data
    return [item["expid"] for item in answer.data["experiments"]]


def test_a_list_has_experiments_and_where_the_page_is(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get("/v4/experiments").json()
    assert [item["name"] for item in answer["experiments"]] == ["a000"]
    assert answer["pagination"] == PAGE


def test_an_experiment_shows_its_counts(as_viewer: APIClient, experiment: Experiment) -> None:
    item = as_viewer.get("/v4/experiments").json()["experiments"][0]
    assert (item["total"], item["completed"], item["failed"], item["running"]) == (3, 1, 1, 0)
    assert item["status_counts"] == {"COMPLETED": 1, "FAILED": 1, "WAITING": 1}


def test_an_experiment_says_whether_it_runs(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.get("/v4/experiments/a000").data["status"] == "NOT RUNNING"
    Experiment.objects.update(is_running=True, evidence="process 4711 holds the lock")
    shown = as_viewer.get("/v4/experiments/a000").data
    assert (shown["status"], shown["is_running"]) == ("RUNNING", True)
    assert shown["evidence"] == "process 4711 holds the lock"


def test_times_are_iso_with_their_offset(as_viewer: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))))
    assert as_viewer.get("/v4/experiments/a000").data["created"] == "2026-01-02T01:04:05+00:00"


def test_an_experiment_names_the_action_that_excludes_others(as_viewer: APIClient, experiment: Experiment) -> None:
    action = factories.create_action(experiment)
    assert as_viewer.get("/v4/experiments/a000").data["active_action"] == action.pk


def test_what_autosubmit_does_not_say_is_null(as_viewer: APIClient, site: Site) -> None:
    factories.create_experiment(site, expid="a001")
    item = as_viewer.get("/v4/experiments").json()["experiments"][0]
    assert [item[name] for name in ("user", "hpc", "version", "created", "modified")] == [None] * 5


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["a000", "o001", "t002"]),
        ({"query": "ocean"}, ["o001"]),
        ({"query": "O00"}, ["o001"]),
        ({"query": "%"}, []),
        ({"only_active": "true"}, ["o001"]),
        ({"only_active": ""}, ["a000", "o001", "t002"]),
        ({"owner": "ana"}, ["a000"]),
        ({"owner": "*an"}, ["o001"]),
        ({"owner": "an"}, []),
        ({"owner": "!ana"}, ["o001", "t002"]),
        ({"owner": "a_a"}, []),
        ({"exp_type": "test"}, ["t002"]),
        ({"exp_type": "operational"}, ["o001"]),
        ({"exp_type": "experiment"}, ["a000"]),
        ({"autosubmit_version": "4.1.*"}, ["t002"]),
        ({"hpc": "mn5"}, ["a000"]),
        ({"run_host": "loc*"}, ["o001"]),
        ({"run_host": "!local"}, ["a000", "t002"]),
        ({"site": "local"}, ["a000", "o001", "t002"]),
        ({"site": "elsewhere"}, []),
        ({"has_problem": "true"}, ["t002"]),
        ({"has_problem": "false"}, ["a000", "o001"]),
        ({"failed": "true"}, ["a000"]),
        ({"failed": "false"}, ["o001", "t002"]),
        ({"gone": "true"}, ["a999"]),
        ({"expid": "!a*"}, ["o001", "t002"]),
        ({"model": "nemo"}, ["o001"]),
        ({"branch": "*dev*"}, ["t002"]),
        ({"is_running": "true"}, ["o001"]),
        ({"is_running": "false"}, ["a000", "t002"]),
        ({"failed_min": "1"}, ["a000"]),
        ({"failed_min": "0"}, ["a000", "o001", "t002"]),
        ({"failed_max": "0"}, ["o001", "t002"]),
        ({"running_min": "10"}, ["o001"]),
        ({"running_max": "9"}, ["a000", "t002"]),
        ({"total_min": "3"}, ["a000"]),
        ({"total_max": "2"}, ["o001", "t002"]),
        ({"created_after": "2026-01-02"}, ["o001"]),
        ({"created_before": "2026-01-02T00:00:00Z"}, ["t002"]),
        ({"changed_after": "2026-03-01", "changed_before": "2026-03-02"}, ["t002"]),
        ({"refreshed_after": "2026-03-01"}, ["o001"]),
        ({"order_by": "running", "order_desc": "true"}, ["o001", "a000", "t002"]),
        ({"order_by": "created"}, ["t002", "o001", "a000"]),
        ({"order_by": "created", "order_desc": "true"}, ["o001", "t002", "a000"]),
        ({"order_by": "description"}, ["t002", "a000", "o001"]),
        ({"order_by": "expid", "order_desc": "true"}, ["t002", "o001", "a000"]),
        ({"page_size": "2"}, ["a000", "o001"]),
        ({"page_size": "2", "page": "2"}, ["t002"]),
        ({"page_size": "2", "page": "9"}, []),
    ],
    ids=str,
)
def test_a_list_is_filtered_and_ordered(
    as_viewer: APIClient, experiment: Experiment, query: dict[str, str], found: list[str]
) -> None:
    site = experiment.site
    factories.create_experiment(
        site,
        expid="o001",
        description="Ocean",
        owner="stan",
        model="NEMO",
        is_running=True,
        run_host=site.hosts.get(),
        status_counts={"RUNNING": 10},
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        refreshed_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    factories.create_experiment(
        site,
        expid="t002",
        description="Atmosphere",
        version="4.1.17",
        branch="new-dev-2",
        problem="broken",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        changed_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    factories.create_experiment(site, expid="a999", gone_at=datetime.now(UTC))
    assert expids(as_viewer, **query) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page_size=501", "page_size"),
        ("only_active=perhaps", "only_active"),
        ("exp_type=other", "exp_type"),
        ("order_by=size", "order_by"),
        ("created_after=yesterday", "created_after"),
        ("failed_min=-1", "failed_min"),
        ("fields=name,size", "fields"),
        ("cursor=x", "cursor"),
        ("colour=red", "colour"),
        ("query=%00", "query"),
    ],
)
def test_a_wrong_parameter_is_named(as_viewer: APIClient, site: Site, query: str, field: str) -> None:
    answer = as_viewer.get(f"/v4/experiments?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_a_wrong_choice_is_answered_with_the_legal_ones(as_viewer: APIClient, site: Site) -> None:
    errors = as_viewer.get("/v4/experiments?exp_type=other").json()["errors"]
    assert errors == {"exp_type": ["“other” is not one of test, operational, experiment."]}


def test_an_unknown_expid_is_not_found(as_viewer: APIClient, site: Site) -> None:
    answer = as_viewer.get("/v4/experiments/a0zz")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no experiment a0zz."


def test_an_expid_of_several_sites_needs_the_site(as_viewer: APIClient, experiment: Experiment) -> None:
    other = factories.create_experiment(factories.create_site(slug="other"), expid="a000")
    answer = as_viewer.get("/v4/experiments/a000")
    assert (answer.status_code, answer.json()["sites"]) == (409, ["local", "other"])
    assert as_viewer.get("/v4/experiments/a000?site=other").data["site"] == other.site.slug


def test_an_expid_that_the_named_site_lacks_is_not_found(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.get("/v4/experiments/a000?site=other").status_code == 404


def test_the_host_of_the_latest_run_is_told(as_viewer: APIClient, experiment: Experiment) -> None:
    for number in (1, 2):
        factories.create_run(experiment, run_id=number)
    before = as_viewer.get("/v4/experiments/a000/runs")
    assert as_viewer.get("/v4/experiments/a000").json()["run_host"] is None
    Experiment.objects.update(run_host=experiment.site.hosts.get())
    assert as_viewer.get("/v4/experiments/a000").json()["run_host"] == "local"
    assert as_viewer.get("/v4/experiments?fields=run_host").json()["experiments"] == [{"run_host": "local"}]
    runs = as_viewer.get("/v4/experiments/a000/runs", HTTP_IF_NONE_MATCH=before["ETag"])
    assert [run["run_host"] for run in runs.json()["runs"]] == [None, "local"]


def test_runs_come_oldest_first(as_viewer: APIClient, experiment: Experiment) -> None:
    factories.create_run(experiment, run_id=2, started_at=datetime(2026, 1, 1, tzinfo=UTC), completed=4, total=9)
    factories.create_run(experiment, run_id=1)
    runs = as_viewer.get("/v4/experiments/a000/runs").json()["runs"]
    assert [run["run_id"] for run in runs] == [1, 2]
    assert (runs[1]["start"], runs[1]["finish"]) == ("2026-01-01T00:00:00+00:00", None)
    assert (runs[1]["completed"], runs[1]["total"]) == (4, 9)


def test_experiments_that_contradict_themselves_are_found(as_viewer: APIClient, experiment: Experiment) -> None:
    since = datetime(2026, 11, 24, 14, 2, tzinfo=UTC)
    factories.create_experiment(experiment.site, expid="a009", disagreement="Says RUNNING.", disagrees_since=since)
    assert (expids(as_viewer, disagrees=True), expids(as_viewer, disagrees=False)) == (["a009"], ["a000"])
    shown = as_viewer.get("/v4/experiments/a009").json()
    assert (shown["disagreement"], shown["disagrees_since"][:16]) == ("Says RUNNING.", "2026-11-24T14:02")


STALLED = {
    "rule": "stalled",
    "sentence": "The run gives no sign of life since 2026-11-29 02:00 UTC.",
    "evidence": "process 7 on node holds the lock, but neither its log nor its history was written since.",
    "advice": "Read the end of its log; then stop it and start it again.",
    "remedy": "stop",
    "job": "",
    "since": "2026-11-29T02:00:00+00:00",
}


@pytest.fixture
def stalled(experiment: Experiment) -> Experiment:
    """An experiment with an alarm, beside one without."""
    return factories.create_experiment(
        experiment.site, expid="a009", attention=[STALLED], attention_rules=",stalled,contradictory,"
    )


def test_what_needs_somebody_is_told(as_viewer: APIClient, stalled: Experiment) -> None:
    shown = as_viewer.get("/v4/experiments/a009").json()["attention"]
    assert shown == [STALLED | {"job": None}]
    assert as_viewer.get("/v4/experiments?fields=attention,name&attention=true").json()["experiments"] == [
        {"name": "a009", "attention": shown}
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("true", ["a009"]), ("false", ["a000"]), ("stalled", ["a009"]), ("contradictory", ["a009"]), ("dead", [])],
)
def test_experiments_that_need_somebody_are_found(
    as_viewer: APIClient, stalled: Experiment, wanted: str, found: list[str]
) -> None:
    assert expids(as_viewer, attention=wanted) == found


def test_a_rule_that_there_is_not_is_refused(as_viewer: APIClient) -> None:
    assert as_viewer.get("/v4/experiments?attention=tired").status_code == 400


def test_the_forecast_of_a_run_is_told_beside_the_serial_estimate(as_viewer: APIClient, experiment: Experiment) -> None:
    told = Forecast(made_at=datetime.now(UTC), ends_at=datetime(2031, 7, 1, 12, tzinfo=UTC), path={"SIM": 3}, rate=2.5)
    Experiment.objects.update(is_running=True, forecast=tell_forecast(told))
    shown = as_viewer.get("/v4/experiments/a000").json()["forecast"]
    assert (shown["ends_at"], shown["path"], shown["rate"]) == ("2031-07-01T12:00:00+00:00", {"SIM": 3}, 2.5)
    assert (shown["why_not"], shown["condition"], shown["unmeasured"]) == (None, None, [])


def test_what_does_not_run_has_no_forecast_and_says_so(as_viewer: APIClient, experiment: Experiment) -> None:
    shown = as_viewer.get("/v4/experiments/a000").json()["forecast"]
    assert (shown["ends_at"], shown["why_not"]) == (None, "Nothing runs now.")
