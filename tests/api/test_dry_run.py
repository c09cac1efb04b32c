"""What an action would do, and changing jobs while their experiment runs."""

from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from experiments.actions import workflows
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, Site
from jobs.models import Job
from tests.api.test_schema import document, errors_of
from tests.support import factories
from tests.support.kinds import route_of

JOBS = "/v4/experiments/a000/jobs"
BODIES: dict[str, dict[str, Any]] = {
    "create": {"description": "Ocean"},
    "update_description": {"description": "Ocean"},
    "set_status": {"status": "READY", "filter_status": ["FAILED"]},
    "reset_and_start": {"filter_status": ["FAILED"]},
    "set_status_live": {"status": "READY", "jobs": ["a000_B"]},
}


@pytest.fixture
def chain(site: Site) -> Experiment:
    """A, which has failed, then B and C, which wait."""
    experiment = factories.create_experiment(site, expid="a000")
    jobs = [
        factories.create_job(experiment, f"a000_{name}", status=status)
        for name, status in (("A", "FAILED"), ("B", "WAITING"), ("C", "WAITING"))
    ]
    factories.create_dependency(jobs[0], jobs[1])
    factories.create_dependency(jobs[1], jobs[2])
    return experiment


def dry_run(client: APIClient, kind: str) -> Any:
    """Ask for the dry run of a kind where its route is."""
    body = BODIES.get(kind, {}) | {"dry_run": True}
    method, address = route_of(CATALOGUE[kind])
    return getattr(client, method)(address, body, format="json")


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_kind_answers_its_commands_and_changes_nothing(
    as_manager: APIClient, chain: Experiment, kind: str
) -> None:
    Experiment.objects.update(is_running=kind in ("stop", "set_status_live"))
    before = list(Job.objects.values_list("name", "status"))
    answer = dry_run(as_manager, kind)
    assert (answer.status_code, answer.json()["kind"]) == (200, kind), answer.json()
    site = chain.site.autosubmit
    expid = "" if kind == "create" else "a000"
    parameters = BODIES.get(kind, {})
    if "filter_status" in parameters:  # it is told by names
        parameters = {"status": "READY", "jobs": ["a000_A"]}
    assert answer.json()["command"] == CATALOGUE[kind].make_command_lines(site, expid, parameters)
    assert list(Job.objects.values_list("name", "status")) == before
    assert not Action.objects.exists()
    assert errors_of({"$ref": "#/components/schemas/DryRun"}, answer.json()) == []


def test_a_set_status_tells_what_would_change_what_follows_and_what_to_know(
    as_operator: APIClient, chain: Experiment
) -> None:
    answer = as_operator.patch(f"{JOBS}/a000_B?status=READY&dry_run=true").json()
    assert answer["changes"] == [{"job": "a000_B", "old": "WAITING", "new": "READY"}]
    assert answer["children"] == [{"job": "a000_C", "status": "WAITING"}]
    assert answer["warnings"] == [
        "a000_B: READY does not let it start before its parents have completed, a000_A (FAILED)."
    ]


def test_a_restart_tells_what_would_change(as_operator: APIClient, chain: Experiment) -> None:
    answer = as_operator.post("/v4/experiments/a000?action=restart&dry_run=true").json()
    assert answer["changes"] == [{"job": "a000_A", "old": "FAILED", "new": "READY"}]
    assert [child["job"] for child in answer["children"]] == ["a000_B", "a000_C"]


def test_a_kind_whose_changes_nobody_can_foretell_says_null(as_operator: APIClient, chain: Experiment) -> None:
    answer = as_operator.post("/v4/experiments/a000?action=run&dry_run=true").json()
    assert (answer["changes"], answer["children"], answer["warnings"]) == (None, [], [])


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        ({"filter_section": ["NOPE"]}, "no job is of section NOPE."),
        ({"filter_status": ["UNKNOWN"]}, "no job is UNKNOWN."),
        ({"filter_chunks": "[ 19990101 [ fc0 [1] ] ]"}, "no job has date 19990101, member FC0"),
    ],
    ids=str,
)
def test_a_filter_that_means_no_job_is_refused_with_what_is_unknown(
    as_operator: APIClient, chain: Experiment, body: dict[str, Any], warning: str
) -> None:
    answer = as_operator.patch(f"{JOBS}?status=READY&dry_run=true", body, format="json")
    ((field, (told,)),) = answer.json()["errors"].items()
    assert (answer.status_code, field) == (400, *body)
    assert told.startswith(warning)


@pytest.mark.parametrize("text", ["[ 20000101 ]", "[[[[[[[[1]]]]]]]]", "[ 20000101 [ fc0 [a-b] ] ]"])
def test_a_filter_that_cannot_be_read_is_refused(as_operator: APIClient, chain: Experiment, text: str) -> None:
    answer = as_operator.patch(f"{JOBS}?status=READY", {"filter_chunks": text}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["filter_chunks"])


def test_autosubmits_own_dry_run_is_an_action_that_saves_nothing(as_operator: APIClient, chain: Experiment) -> None:
    answer = as_operator.patch(f"{JOBS}/a000_B?status=READY&dry_run=autosubmit")
    assert (answer.status_code, answer.json()["is_dry_run"]) == (202, True)
    words = [factories.PROGRAM, "setstatus", "--noplot", "a000", "--status_final=READY", "--list=a000_B"]
    assert answer.json()["command"] == [words]
    assert answer["Location"] == answer.json()["url"]
    assert AuditEntry.objects.get(event="action.requested").details["is_dry_run"] is True


def test_the_body_may_ask_for_autosubmits_own_dry_run(as_operator: APIClient, chain: Experiment) -> None:
    body = {"dry_run": "autosubmit"}
    answer = as_operator.post("/v4/experiments/a000?action=restart", body, format="json")
    assert answer.json()["command"] == [[factories.PROGRAM, "recovery", "--all", "--noplot", "a000"]]


@pytest.mark.parametrize("kind", ["run", "generate"])
def test_a_kind_without_a_dry_run_of_autosubmit_names_those_that_have_one(
    as_manager: APIClient, chain: Experiment, kind: str
) -> None:
    answer = as_manager.post(f"/v4/experiments/a000?action={kind}&dry_run=autosubmit")
    assert answer.status_code == 400
    assert "restart, set_status" in answer.json()["errors"]["dry_run"][0]
    assert AuditEntry.objects.get(event="action.refused").kind == kind


@pytest.mark.parametrize("value", ["perhaps", ["true"], {"a": 1}, None])
def test_any_other_dry_run_is_refused(as_operator: APIClient, chain: Experiment, value: Any) -> None:
    answer = as_operator.post("/v4/experiments/a000?action=run", {"dry_run": value}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["dry_run"])
    assert not Action.objects.exists()


def test_a_running_experiment_is_changed_only_when_that_is_said(as_operator: APIClient, chain: Experiment) -> None:
    Experiment.objects.update(is_running=True, evidence="process 7 holds the lock")
    refused = as_operator.patch(f"{JOBS}/a000_B?status=READY")
    assert refused.status_code == 409
    assert "live=true" in refused.json()["detail"]
    answer = as_operator.patch(f"{JOBS}/a000_B?status=READY&live=true")
    assert (answer.status_code, answer.json()["kind"]) == (202, "set_status_live")
    assert answer.json()["command"][0][3:] == ["update_list", "a000", "READY", "a000_B"]


def test_a_live_change_of_what_does_not_run_is_refused(as_operator: APIClient, chain: Experiment) -> None:
    answer = as_operator.patch(f"{JOBS}/a000_B?status=READY&live=true")
    assert (answer.status_code, "not running" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("status", ["UNKNOWN", "HELD"])
def test_a_live_change_to_what_ends_the_run_is_refused(as_operator: APIClient, chain: Experiment, status: str) -> None:
    Experiment.objects.update(is_running=True)
    answer = as_operator.patch(f"{JOBS}/a000_B?status={status}&live=true")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["status"])


def test_a_live_change_needs_names(as_operator: APIClient, chain: Experiment) -> None:
    Experiment.objects.update(is_running=True)
    body = {"filter_status": ["FAILED"]}
    answer = as_operator.patch(f"{JOBS}?status=READY&live=true", body, format="json")
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"jobs", "filter_status"})


def test_live_and_dry_run_are_described() -> None:
    described = document()["paths"]["/v4/experiments/{expid}/jobs/{job}"]["patch"]
    parameters = {parameter["name"]: parameter for parameter in described["parameters"]}
    assert "experiments.request_set_status_live" in parameters["live"]["description"]
    assert parameters["dry_run"]["schema"]["oneOf"][1]["enum"] == ["autosubmit"]


@pytest.fixture
def many(site: Site) -> Experiment:
    """An experiment with 250 jobs that wait, one for the other."""
    experiment = factories.create_experiment(site, expid="a000", total_jobs=250)
    jobs = [
        factories.create_job(experiment, f"a000_20000101_fc0_{number:03d}_SIM", section="SIM") for number in range(250)
    ]
    for parent, child in pairwise(jobs):
        factories.create_dependency(parent, child)
    return experiment


def test_a_dry_run_tells_how_many_jobs_and_names_the_first(as_operator: APIClient, many: Experiment) -> None:
    answer = as_operator.patch(
        f"{JOBS}?dry_run=true", {"status": "SUSPENDED", "filter_section": ["SIM"]}, format="json"
    ).json()
    assert (answer["changes_total"], len(answer["changes"])) == (250, 100)
    assert answer["command"][0][-1].endswith("characters more")


def test_a_dry_run_names_all_jobs_where_all_are_asked_for(as_operator: APIClient, many: Experiment) -> None:
    address = f"{JOBS}/a000_20000101_fc0_000_SIM?dry_run=true&status=SUSPENDED"
    some, whole = (as_operator.patch(f"{address}{more}").json() for more in ("", "&all_changes=true"))
    assert (some["children_total"], len(some["children"]), len(whole["children"])) == (249, 100, 249)


def test_a_large_workflow_is_read_once_for_who_only_looks(
    as_operator: APIClient, many: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "LEAST_KEPT_JOBS", 250)
    Experiment.objects.update(refreshed_at=timezone.now())
    totals = []
    for _ in range(2):
        totals.append(
            as_operator.patch(f"{JOBS}/a000_20000101_fc0_000_SIM?dry_run=true&status=READY").json()["changes_total"]
        )
        Job.objects.filter(name="a000_20000101_fc0_000_SIM").update(status="READY")
    Experiment.objects.update(refreshed_at=timezone.now())
    totals.append(
        as_operator.patch(f"{JOBS}/a000_20000101_fc0_000_SIM?dry_run=true&status=READY").json()["changes_total"]
    )
    assert totals == [1, 1, 0]
