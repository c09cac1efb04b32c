"""Requesting actions: what is asked, what is answered, what is recorded."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.audit.models import AuditEntry
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Action, Experiment, Site, State
from jobs.models import Job
from tests.support import factories

RUN = "/v4/experiments/a000?action=run"
JOB = "/v4/experiments/a000/jobs/a000_20000101_fc0_1_SIM"


def last_refusal() -> AuditEntry:
    return AuditEntry.objects.filter(event="action.refused").latest("id")


def test_a_run_is_queued_and_answered_with_its_address(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(RUN)
    assert answer.status_code == 202
    action = Action.objects.get()
    assert answer["Location"] == f"/v4/actions/{action.pk}"
    assert answer.json()["state"] == "queued"
    assert answer.json()["command"] == [[factories.PROGRAM, "run", "a000"]]


def test_the_body_may_be_empty_in_every_way(as_operator: APIClient, experiment: Experiment) -> None:
    bodies: list[Any] = [None, {}]
    for body in bodies:
        assert as_operator.post(RUN, body, format="json").status_code == 202
        Action.objects.update(state=State.SUCCEEDED)


def test_the_reason_is_kept(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(RUN, {"reason": "first year"}, format="json")
    assert answer.json()["reason"] == Action.objects.get().reason == "first year"


def test_the_actor_of_a_token_is_named_in_the_trail(as_operator: APIClient, experiment: Experiment) -> None:
    as_operator.post(RUN, REMOTE_ADDR="192.0.2.7")
    entry = AuditEntry.objects.get(event="action.requested")
    assert (entry.actor_name, entry.door, entry.address) == ("operator", "api", "192.0.2.7")


def test_parameters_stand_in_the_body(as_operator: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(is_running=True)
    body = {"force": True, "reason": "it hangs"}
    answer = as_operator.post("/v4/experiments/a000?action=stop", body, format="json")
    assert answer.json()["parameters"] == {"force": True}
    assert answer.json()["command"] == [[factories.PROGRAM, "stop", "--yes", "a000", "--force"]]


def test_restart_has_a_command_for_each_step(as_operator: APIClient, experiment: Experiment) -> None:
    command = as_operator.post("/v4/experiments/a000?action=restart").json()["command"]
    assert [argv[1] for argv in command] == ["recovery", "run"]


def test_an_experiment_is_created_at_the_default_site(as_manager: APIClient, site: Site) -> None:
    factories.create_site(slug="another")
    answer = as_manager.post("/v4/experiments", {"description": "Ocean", "hpc": "LOCAL"}, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (202, "create")
    assert (answer.json()["site"], answer.json()["expid"]) == ("local", "")


def test_an_experiment_is_created_at_the_named_site(as_manager: APIClient, site: Site) -> None:
    factories.create_site(slug="another")
    answer = as_manager.post("/v4/experiments?site=another", {"description": "Ocean"}, format="json")
    assert answer.json()["site"] == "another"


def test_an_unknown_site_is_answered_with_the_known_ones(as_manager: APIClient, site: Site) -> None:
    answer = as_manager.post("/v4/experiments?site=nowhere", {"description": "Ocean"}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"site": ["“nowhere” is not a site. Legal: local."]}


def test_without_any_site_nothing_can_be_created(as_manager: APIClient) -> None:
    answer = as_manager.post("/v4/experiments", {"description": "Ocean"}, format="json")
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")


@pytest.mark.parametrize("text", ["-x", "$(touch x)", "quotes \" and '", "two\nlines", "🌍", "  blanks  "])
def test_a_description_arrives_exactly_as_sent(as_operator: APIClient, experiment: Experiment, text: str) -> None:
    answer = as_operator.patch("/v4/experiments/a000", {"description": text}, format="json")
    assert answer.json()["command"] == [[factories.PROGRAM, "updatedescrip", "a000", "--", text]]


def test_the_status_of_a_job_is_set_by_the_address_alone(as_operator: APIClient, job: Job) -> None:
    answer = as_operator.patch(f"{JOB}?status=READY")
    assert answer.status_code == 202, answer.data
    assert answer.json()["parameters"] == {"status": "READY", "jobs": [job.name]}
    assert answer.json()["jobs"] == [job.name]


def test_the_status_of_jobs_is_set_by_list_or_filter(as_operator: APIClient, experiment: Experiment) -> None:
    body = {"filter_status": ["FAILED"]}
    answer = as_operator.patch("/v4/experiments/a000/jobs?status=READY", body, format="json")
    assert answer.json()["parameters"] == {"status": "READY", "filter_status": ["FAILED"]}
    assert "jobs" not in answer.json()


def test_the_status_may_stand_in_the_body(as_operator: APIClient, job: Job) -> None:
    assert as_operator.patch(JOB, {"status": "READY"}, format="json").status_code == 202


@pytest.mark.parametrize("body", [{"status": "WAITING"}, {"jobs": ["a000_POST"]}])
def test_a_body_that_contradicts_the_address_is_refused(as_operator: APIClient, job: Job, body: Any) -> None:
    answer = as_operator.patch(f"{JOB}?status=READY", body, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == list(body)


def test_a_dry_run_answers_the_command_and_changes_nothing(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(f"{RUN}&dry_run=true")
    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
    assert answer.json()["command"] == [[factories.PROGRAM, "run", "a000"]]
    assert not Action.objects.exists()


def test_a_dry_run_may_be_asked_for_in_the_body(as_operator: APIClient, experiment: Experiment) -> None:
    assert as_operator.post(RUN, {"dry_run": True}, format="json").status_code == 200
    assert not Action.objects.exists()


def test_a_misspelt_dry_run_does_nothing(as_operator: APIClient, experiment: Experiment) -> None:
    assert as_operator.post(f"{RUN}&dryrun=true").status_code == 400
    assert as_operator.post(RUN, {"dryrun": True}, format="json").status_code == 400
    assert not Action.objects.exists()


@pytest.mark.parametrize("query", ["", "?action=fly", "?action=set_status", "?action=update_description"])
def test_an_unknown_action_is_answered_with_the_legal_ones(
    as_operator: APIClient, experiment: Experiment, query: str
) -> None:
    answer = as_operator.post(f"/v4/experiments/a000{query}")
    assert answer.status_code == 400
    assert "Legal: run, stop, restart, generate" in answer.json()["errors"]["action"][0]


def test_an_invalid_status_is_answered_with_the_legal_ones(as_operator: APIClient, job: Job) -> None:
    answer = as_operator.patch(f"{JOB}?status=FAILED")
    assert answer.status_code == 400
    assert "READY, COMPLETED, WAITING" in answer.json()["errors"]["status"][0]
    assert last_refusal().kind == "set_status"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RUN, "{"),
        (RUN, "[1]"),
        (RUN, '"run"'),
        (RUN, '{"reason": 5'),
        (RUN, '{"reason": ["a"]}'),
        (RUN, '{"reason": "a\\u0000b"}'),
        (RUN, '{"reason": "\\ud800"}'),
        (RUN, '{"a\\u0000": 1}'),
        (RUN, '{"dry_run": "perhaps"}'),
        (RUN, '{"force": true}'),
        (RUN, "[" * 50_000),
    ],
)
def test_a_wrong_body_is_refused_and_recorded(
    as_operator: APIClient, experiment: Experiment, path: str, body: str
) -> None:
    answer = as_operator.post(path, body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert (last_refusal().actor_name, last_refusal().kind) == ("operator", "run")
    assert not Action.objects.exists()


def test_an_endless_body_is_refused(as_operator: APIClient, experiment: Experiment) -> None:
    body = '{"reason": "' + "x" * 5_000_000 + '"}'
    answer = as_operator.post(RUN, body, content_type="application/json")
    assert (answer.status_code, "longer than" in answer.json()["detail"]) == (413, True)
    assert last_refusal().kind == "run"


def test_a_body_that_is_not_json_is_refused(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(RUN, "action=run", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert last_refusal().kind == "run"


def test_who_lacks_the_permission_is_told_which(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.post(RUN)
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.request_run")
    assert (last_refusal().actor_name, last_refusal().expid) == ("viewer", "a000")


def test_who_may_not_even_look_is_recorded_too(api: Any, experiment: Experiment) -> None:
    nobody = factories.create_user()
    nobody.user_permissions.add(Permission.objects.get(codename="request_run"))
    answer = api(nobody).post(RUN)
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.view_experiment")
    assert (last_refusal().actor_name, last_refusal().expid) == (nobody.username, "a000")
    assert not Action.objects.exists()


def test_a_start_while_running_conflicts(as_operator: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(is_running=True, evidence="the lock is held")
    answer = as_operator.post(RUN)
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")
    assert "a000 is running" in answer.json()["detail"]
    assert "a000 is running" in last_refusal().message


def test_a_stop_while_nothing_runs_conflicts(as_operator: APIClient, experiment: Experiment) -> None:
    assert as_operator.post("/v4/experiments/a000?action=stop").status_code == 409


def test_an_action_in_the_way_is_named(as_operator: APIClient, experiment: Experiment) -> None:
    active = factories.create_action(experiment, kind="generate")
    problem = as_operator.post(RUN).json()
    assert (problem["status"], problem["action_id"]) == (409, active.pk)
    assert problem["action"] == f"/v4/actions/{active.pk}"


def test_an_unhealthy_site_refuses_with_the_reason(as_operator: APIClient, experiment: Experiment) -> None:
    Site.objects.update(problem="The Autosubmit program is missing.")
    answer = as_operator.post(RUN)
    assert (answer.status_code, "program is missing" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("path", ["/v4/experiments/a0zz?action=run"])
def test_an_unknown_experiment_is_not_found(as_operator: APIClient, site: Site, path: str) -> None:
    assert as_operator.post(path).status_code == 404


def test_an_unknown_job_in_the_address_is_not_found(as_operator: APIClient, experiment: Experiment) -> None:
    assert as_operator.patch("/v4/experiments/a000/jobs/a000_NOPE?status=READY").status_code == 404


def test_an_unknown_job_in_the_body_is_named(as_operator: APIClient, experiment: Experiment) -> None:
    body = {"jobs": ["a000_NOPE"]}
    answer = as_operator.patch("/v4/experiments/a000/jobs?status=READY", body, format="json")
    assert answer.status_code == 400
    assert "a000_NOPE" in answer.json()["errors"]["jobs"][0]


def test_every_kind_has_a_route() -> None:
    routed = {("site", False), ("experiment", False), ("experiment", True), ("jobs", False), ("jobs", True)}
    assert {(kind.target.value, kind.is_edit) for kind in CATALOGUE.values()} <= routed
    assert [kind.name for kind in CATALOGUE.values() if kind.target is Target.SITE] == ["create"]
    jobs = [kind.name for kind in CATALOGUE.values() if kind.target is Target.JOBS]
    assert jobs == ["set_status", "reset_and_start", "set_status_live"]
    edits = [kind.name for kind in CATALOGUE.values() if kind.is_edit]
    assert edits == ["set_status", "set_status_live", "update_description"]


def test_no_option_is_called_like_a_field_of_the_envelope() -> None:
    assert {option.name for kind in CATALOGUE.values() for option in kind.options}.isdisjoint({"reason", "dry_run"})


def test_an_action_knows_the_token_that_asked_for_it(as_operator: APIClient, experiment: Experiment) -> None:
    as_operator.post("/v4/experiments/a000?action=run")
    assert Action.objects.get().token_digest == ApiToken.objects.get().pk
