"""Asking for an action at the console: the form, the exact command, the one door, and what a refusal says."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.catalogue.kinds import (
    CATALOGUE,
    CREATE,
    GENERATE,
    RESTART,
    RUN,
    SET_STATUS,
    STOP,
    UPDATE_DESCRIPTION,
    ActionKind,
)
from experiments.models import Action, Experiment, Site, State
from jobs.models import Job
from tests.console.pages import commands_in, filled, form_of, key_in, make_possible, page_of, text_of
from tests.support import factories

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

KINDS = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)


def action_page(action: Action) -> str:
    return page_of("experiments_action", action.pk)


# --- GET shows, POST asks


@KINDS
def test_looking_at_a_form_changes_nothing(as_manager: Client, job: Job, kind: ActionKind) -> None:
    make_possible(kind, job.experiment)
    entries = AuditEntry.objects.count()
    assert as_manager.get(form_of(kind, job)).status_code == 200
    assert as_manager.get(form_of(kind, job), filled(kind)).status_code == 200
    assert (Action.objects.count(), AuditEntry.objects.count()) == (0, entries)


@KINDS
def test_a_form_makes_one_action_and_leads_to_it(as_manager: Client, manager: User, job: Job, kind: ActionKind) -> None:
    make_possible(kind, job.experiment)
    answer = as_manager.post(form_of(kind, job), filled(kind) | {"reason": "Night shift"})
    action = Action.objects.get()
    assert answer["Location"] == action_page(action)
    assert (action.kind, action.state, action.reason) == (kind.name, State.QUEUED, "Night shift")
    assert (action.actor, action.door, action.address) == (manager, "admin", "127.0.0.1")
    assert AuditEntry.objects.get(event="action.requested").action_id == action.pk


@KINDS
def test_the_confirmation_shows_the_exact_command(as_manager: Client, job: Job, kind: ActionKind) -> None:
    make_possible(kind, job.experiment)
    given = filled(kind) | {"reason": "Night shift"}
    shown = commands_in(as_manager.post(f"{form_of(kind, job)}preview/", given))
    assert Action.objects.count() == 0
    as_manager.post(form_of(kind, job), given)
    assert shown == [shlex.join(argv) for argv in Action.objects.get().command]


def test_an_address_fills_the_form(as_operator: Client, job: Job) -> None:
    address = page_of("experiments_experiment", job.experiment.pk) + "request/set_status/"
    shown = commands_in(as_operator.get(address, {"status": "READY", "filter_status": ["FAILED", "WAITING"]}))
    assert shown[0].endswith("--status_final=READY '--list=a000_SIM a000_POST'")
    assert Action.objects.count() == 0


def test_a_preview_is_not_asked_for_by_get(as_manager: Client, job: Job) -> None:
    assert as_manager.get(f"{form_of(RUN, job)}preview/").status_code == 405


@KINDS
def test_a_form_without_its_token_is_refused(
    signed_in: Callable[..., Client], manager: User, job: Job, kind: ActionKind
) -> None:
    make_possible(kind, job.experiment)
    answer = signed_in(manager, enforce_csrf_checks=True).post(form_of(kind, job), filled(kind))
    assert (answer.status_code, Action.objects.count()) == (403, 0)


def test_a_form_from_another_site_is_refused(signed_in: Callable[..., Client], manager: User, job: Job) -> None:
    client = signed_in(manager, enforce_csrf_checks=True)
    token = client.get(form_of(RUN, job)).cookies["csrftoken"].value
    sent = {"csrfmiddlewaretoken": token}
    answers = [
        client.post(form_of(RUN, job), sent, headers={"origin": origin}).status_code
        for origin in ("http://elsewhere.example", "http://testserver")
    ]
    assert (answers, Action.objects.count()) == ([403, 302], 1)


def test_an_unknown_host_is_refused(as_manager: Client, job: Job) -> None:
    answer = as_manager.post(form_of(RUN, job), headers={"host": "elsewhere.example"})
    assert (answer.status_code, Action.objects.count()) == (400, 0)


def test_an_unknown_kind_is_not_found(as_manager: Client, job: Job) -> None:
    address = form_of(RUN, job)
    assert as_manager.post(address.replace("/run/", "/explode/")).status_code == 404
    assert as_manager.post(address.replace("/run/", "/create/")).status_code == 404


# --- Refusals


@KINDS
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_post_without_the_permission_is_refused_and_recorded(
    as_role: Callable[[Role], Client], job: Job, role: Role, kind: ActionKind
) -> None:
    make_possible(kind, job.experiment)
    answer = as_role(role).post(form_of(kind, job), filled(kind) | {"reason": "Night shift"})
    if role >= kind.role:
        assert (answer.status_code, Action.objects.count()) == (302, 1)
    else:
        assert (answer.status_code, Action.objects.count()) == (403, 0)
        assert kind.permission in AuditEntry.objects.get(event="action.refused").message


def test_a_start_of_what_runs_says_why_not(as_operator: Client, job: Job) -> None:
    Experiment.objects.update(is_running=True, evidence="lock held by 4711")
    answer = as_operator.post(form_of(RUN, job))
    assert (answer.status_code, Action.objects.count()) == (409, 0)
    assert "a000 is running (lock held by 4711). Stop it first." in text_of(answer)


def test_an_action_in_the_way_is_named_and_linked(as_operator: Client, job: Job) -> None:
    active = factories.create_action(job.experiment, kind="restart")
    answer = as_operator.post(form_of(RUN, job))
    assert answer.status_code == 409
    assert f"Action {active.pk} is active on a000." in text_of(answer)
    assert f'href="{action_page(active)}"' in text_of(answer)


def test_a_sick_site_says_what_is_wrong(as_operator: Client, job: Job) -> None:
    Site.objects.update(problem="The program is gone.")
    for answer in (as_operator.get(form_of(RUN, job)), as_operator.post(form_of(RUN, job))):
        assert "The site local is unhealthy: The program is gone." in text_of(answer)
    assert Action.objects.count() == 0


def test_a_new_form_does_not_complain_about_what_nobody_has_typed(as_operator: Client, job: Job) -> None:
    address = form_of(SET_STATUS, job)
    for answer in (as_operator.get(address), as_operator.post(f"{address}preview/", {"jobs": job.name})):
        assert "<li><b>Status</b>" in text_of(answer)
        assert "This field is required" not in text_of(answer)


def test_a_field_that_is_missing_is_named(as_operator: Client, job: Job) -> None:
    answer = as_operator.post(form_of(SET_STATUS, job), {"reason": "Night shift"})
    assert answer.status_code == 400
    assert answer.context["form"].errors.keys() == {"status"}
    assert 'value="Night shift"' in text_of(answer)


def test_a_wrong_field_keeps_what_was_typed(as_manager: Client, job: Job) -> None:
    typed = {"description": "Ocean <b>", "git_repo": "https://x/;rm", "minimal_configuration": "on"}
    answer = as_manager.post(form_of(CREATE, job), typed)
    assert (answer.status_code, Action.objects.count()) == (400, 0)
    assert answer.context["form"].errors.keys() == {"git_repo"}
    page = text_of(answer)
    assert "without blanks or quotes" in page
    assert 'value="https://x/;rm"' in page
    assert "Ocean &lt;b&gt;</textarea>" in page


def test_an_error_about_a_field_that_is_not_shown_stands_above_the_form(as_operator: Client, job: Job) -> None:
    address = page_of("experiments_experiment", job.experiment.pk) + "request/set_status/"
    answer = as_operator.post(address, {"status": "READY", "jobs": "a000_SIM a000_GONE"})
    assert answer.context["form"].errors["jobs"] == ["Not a job of a000: a000_GONE."]


@pytest.mark.parametrize(
    ("typed", "kept"), [("  two\r\nlines ", "  two\nlines "), ("-x $(id) `id` 🌍", "-x $(id) `id` 🌍")]
)
def test_a_text_arrives_as_typed(as_operator: Client, job: Job, typed: str, kept: str) -> None:
    as_operator.post(form_of(UPDATE_DESCRIPTION, job), {"description": typed})
    assert Action.objects.get().command[0][-1] == kept


# --- Asking twice


def test_a_form_that_is_sent_twice_makes_one_action(as_manager: Client, job: Job) -> None:
    address = form_of(CREATE, job)
    sent = {"description": "Ocean", "idempotency_key": key_in(as_manager.get(address))}
    places = {as_manager.post(address, sent)["Location"] for _ in range(2)}
    assert places == {action_page(Action.objects.get())}
    assert "this form was sent before" in text_of(as_manager.get(places.pop()))


def test_the_second_of_two_leads_to_the_first_also_when_it_has_ended(as_operator: Client, job: Job) -> None:
    sent = {"idempotency_key": key_in(as_operator.get(form_of(RUN, job)))}
    as_operator.post(form_of(RUN, job), sent)
    Action.objects.update(state=State.SUCCEEDED)
    answer = as_operator.post(form_of(RUN, job), sent)
    assert answer["Location"] == action_page(Action.objects.get())


def test_each_form_has_a_key_of_its_own(as_operator: Client, job: Job) -> None:
    keys = {key_in(as_operator.get(form_of(RUN, job))) for _ in range(3)}
    assert len(keys) == 3


def test_a_form_that_was_sent_and_then_changed_is_not_taken_for_the_first(as_manager: Client, job: Job) -> None:
    address = form_of(CREATE, job)
    key = key_in(as_manager.get(address))
    as_manager.post(address, {"description": "Ocean", "idempotency_key": key})
    answer = as_manager.post(address, {"description": "Land", "idempotency_key": key})
    assert (answer.status_code, Action.objects.count()) == (422, 1)
    assert f'href="{action_page(Action.objects.get())}"' in text_of(answer)
    again = {"description": "Land", "idempotency_key": key_in(answer)}
    assert as_manager.post(address, again).status_code == 302
    assert Action.objects.count() == 2


def test_the_same_key_of_two_people_makes_two_actions(as_manager: Client, as_admin: Client, job: Job) -> None:
    sent = {"description": "Ocean", "idempotency_key": "mine"}
    for client in (as_manager, as_admin):
        client.post(form_of(CREATE, job), sent)
    assert Action.objects.count() == 2


# --- What is lost, and why


@KINDS
def test_every_form_has_a_reason(as_manager: Client, job: Job, kind: ActionKind) -> None:
    assert 'name="reason"' in text_of(as_manager.get(form_of(kind, job)))


@pytest.mark.parametrize(
    ("kind", "given", "lost"),
    [
        (GENERATE, {}, "a000 loses the progress of 2 jobs: 1 COMPLETED, 1 FAILED."),
        (RESTART, {"force": "on"}, "The active jobs of a000 are cancelled"),
        (STOP, {"force": "on"}, "The run of a000 is killed at once"),
        (STOP, {"cancel": "on"}, "The active jobs of a000 are cancelled"),
    ],
)
def test_what_destroys_work_needs_a_reason_and_says_what_is_lost(
    as_manager: Client, job: Job, kind: ActionKind, given: dict[str, str], lost: str
) -> None:
    make_possible(kind, job.experiment)
    assert lost in text_of(as_manager.post(f"{form_of(kind, job)}preview/", given))
    answer = as_manager.post(form_of(kind, job), given)
    assert (answer.status_code, Action.objects.count()) == (400, 0)
    assert lost in answer.context["form"].errors["reason"][0]
    assert as_manager.post(form_of(kind, job), given | {"reason": "Wrong start"}).status_code == 302


@pytest.mark.parametrize("kind", [STOP, RESTART, UPDATE_DESCRIPTION], ids=lambda kind: kind.name)
def test_what_destroys_nothing_needs_no_reason(as_manager: Client, job: Job, kind: ActionKind) -> None:
    make_possible(kind, job.experiment)
    assert as_manager.post(form_of(kind, job), filled(kind)).status_code == 302


# --- What would change


def preview(client: Client, kind: ActionKind, job: Job, **given: Any) -> str:
    return text_of(client.post(f"{form_of(kind, job)}preview/", given))


def test_a_preview_shows_each_job_now_and_then(as_operator: Client, job: Job) -> None:
    shown = preview(as_operator, SET_STATUS, job, status="COMPLETED")
    assert "1 job changes" in shown
    row = shown.partition("a000_SIM</td>")[2].partition("</tr>")[0]
    assert row.index("FAILED") < row.index("COMPLETED")


def test_a_preview_shows_the_jobs_that_follow(as_operator: Client, job: Job) -> None:
    shown = preview(as_operator, SET_STATUS, job, status="COMPLETED")
    assert "1 job follows" in shown
    assert "a000_POST" in shown


def test_a_preview_warns_of_unfinished_parents(as_operator: Client, job: Job) -> None:
    post = job.experiment.jobs.get(name="a000_POST")
    shown = preview(as_operator, SET_STATUS, post, status="READY")
    assert "before its parents have completed, a000_SIM (FAILED)" in shown


def test_a_preview_of_what_changes_nothing_says_so(as_operator: Client, job: Job) -> None:
    Job.objects.update(status="READY")
    assert "None of the chosen jobs would change" in preview(as_operator, SET_STATUS, job, status="READY")


def test_a_preview_of_a_restart_shows_what_is_recovered(as_operator: Client, job: Job) -> None:
    shown = preview(as_operator, RESTART, job)
    row = shown.partition("a000_SIM</td>")[2].partition("</tr>")[0]
    assert row.index("FAILED") < row.index("READY")


def test_a_preview_asked_of_the_run_shows_the_same(as_operator: Client, job: Job) -> None:
    Experiment.objects.update(is_running=True)
    shown = preview(as_operator, CATALOGUE["set_status_live"], job, status="COMPLETED")
    assert "1 job changes" in shown


def test_a_preview_of_very_many_jobs_names_some_and_counts_all(as_operator: Client, job: Job) -> None:
    Job.objects.bulk_create(
        Job(experiment=job.experiment, name=f"a000_{n:04d}_X", section="X", status="FAILED") for n in range(1500)
    )
    address = page_of("experiments_experiment", job.experiment.pk) + "request/set_status/"
    given = {"status": "READY", "filter_status": ["FAILED"]}
    shown = text_of(as_operator.post(f"{address}preview/", given))
    assert "1,501 jobs change" in shown
    assert "The first 30 of 1,501." in shown
    assert shown.count("_X</td>") < 31


def test_a_preview_says_nothing_of_jobs_for_other_kinds(as_operator: Client, job: Job) -> None:
    assert "change" not in preview(as_operator, RUN, job)


@pytest.mark.parametrize("values", [["on", ""], ["", "on"], ["on", "false"]])
def test_a_flag_that_says_two_things_is_refused(as_operator: Client, job: Job, values: list[str]) -> None:
    Experiment.objects.update(is_running=True)
    address = page_of("experiments_experiment", job.experiment.pk) + "request/stop/"
    answer = as_operator.post(address, {"force": values, "reason": "x"})
    assert (answer.status_code, Action.objects.count()) == (400, 0)
    assert "Given more than once" in answer.content.decode()
