"""Asking for many jobs at once, from the list of jobs."""

import pytest
from django.test import Client

from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, State
from jobs.models import Job
from tests.console.pages import commands_in, key_in, list_of, text_of
from tests.support import factories

JOBS = "/jobs/"
FORM = "/jobs/request/set_status/"


def choose(client: Client, *jobs: Job, kind: str = "set_status") -> str:
    """Choose rows and an entry of the menu; return the page that opens."""
    sent = {"action": kind, "_selected_action": [job.pk for job in jobs], "index": 0}
    answer = client.post(list_of("jobs_job"), sent)
    assert answer.status_code == 200
    return text_of(answer)


def selection(*jobs: Job) -> str:
    return ",".join(str(job.pk) for job in jobs)


def test_the_menu_opens_the_form_of_the_chosen_jobs_and_changes_nothing(
    as_operator: Client, experiment: Experiment
) -> None:
    page = choose(as_operator, *experiment.jobs.exclude(name="a000_INI"))
    assert "<li>a000_SIM</li><li>a000_POST</li>" in page.replace("\n", "")
    assert "<li>a000_INI</li>" not in page
    assert Action.objects.count() == 0


def test_the_filter_of_the_list_is_not_taken_for_the_new_status(as_operator: Client, experiment: Experiment) -> None:
    done = experiment.jobs.get(status="COMPLETED")
    sent = {"action": "set_status", "_selected_action": [done.pk], "index": 0}
    page = text_of(as_operator.post(f"{list_of('jobs_job')}?status=COMPLETED", sent))
    assert '<option value="COMPLETED">' in page
    assert '<option value="COMPLETED" selected>' not in page


def test_the_form_of_chosen_jobs_makes_one_action_on_all_of_them(as_operator: Client, experiment: Experiment) -> None:
    chosen = list(experiment.jobs.exclude(name="a000_INI"))
    answer = as_operator.post(FORM, {"selection": selection(*chosen), "status": "SUSPENDED"})
    action = Action.objects.get()
    assert answer["Location"] == f"/actions/{action.pk}/"
    assert sorted(action.parameters["jobs"]) == ["a000_POST", "a000_SIM"]


def test_jobs_of_two_experiments_make_an_action_for_each(as_operator: Client, job: Job) -> None:
    other = factories.create_job(factories.create_experiment(job.experiment.site, expid="a001"))
    sent = {"selection": selection(job, other), "status": "SUSPENDED", "idempotency_key": "mine"}
    for _ in range(2):
        assert as_operator.post(FORM, sent)["Location"] == JOBS
    assert {(action.expid, *action.parameters["jobs"]) for action in Action.objects.all()} == {
        ("a000", job.name),
        ("a001", other.name),
    }
    assert Action.objects.count() == 2


def test_jobs_of_experiments_that_share_a_name_make_an_action_for_each(as_operator: Client, job: Job) -> None:
    other = factories.create_job(factories.create_experiment(expid="a000"))
    sent = {"selection": selection(job, other), "status": "SUSPENDED", "idempotency_key": "mine"}
    as_operator.post(FORM, sent)
    assert {action.site_id for action in Action.objects.all()} == {job.experiment.site_id, other.experiment.site_id}


def test_the_preview_shows_the_command_of_each_experiment(as_operator: Client, job: Job) -> None:
    other = factories.create_job(factories.create_experiment(job.experiment.site, expid="a001"))
    sent = {"selection": selection(job, other), "status": "SUSPENDED"}
    shown = commands_in(as_operator.post(f"{FORM}preview/", sent))
    assert [command.split()[-2:] for command in shown] == [
        ["--status_final=SUSPENDED", f"--list={name}"] for name in (job.name, other.name)
    ]


def test_one_that_is_refused_does_not_keep_the_others_back(as_operator: Client, job: Job) -> None:
    busy = factories.create_job(factories.create_experiment(job.experiment.site, expid="a001", is_running=True))
    sent = {"selection": selection(job, busy), "status": "SUSPENDED"}
    shown = text_of(as_operator.post(f"{FORM}preview/", sent))
    assert len(commands_in(as_operator.post(f"{FORM}preview/", sent))) == 1
    assert "a001 is running" in shown
    page = text_of(as_operator.post(FORM, sent, follow=True))
    assert Action.objects.get().expid == "a000"
    assert "a001 is running" in page
    assert AuditEntry.objects.get(event="action.refused").expid == "a001"


def test_jobs_of_another_key_are_a_different_request(as_operator: Client, experiment: Experiment) -> None:
    first, second, _ = experiment.jobs.order_by("name")
    sent = {"status": "SUSPENDED", "idempotency_key": "mine"}
    as_operator.post(FORM, sent | {"selection": selection(first)})
    Action.objects.update(state=State.SUCCEEDED)
    answer = as_operator.post(FORM, sent | {"selection": selection(second)})
    assert (answer.status_code, Action.objects.count()) == (422, 1)
    assert key_in(answer) != "mine"


def test_a_viewer_has_no_way_to_ask_for_many(as_viewer: Client, job: Job) -> None:
    assert "action-select" not in text_of(as_viewer.get(JOBS))
    answer = as_viewer.post(FORM, {"selection": selection(job), "status": "SUSPENDED"})
    assert (answer.status_code, Action.objects.count()) == (403, 0)


def test_ten_thousand_jobs_are_chosen_at_once(as_operator: Client, experiment: Experiment) -> None:
    Job.objects.bulk_create(
        Job(experiment=experiment, name=f"a000_20000101_fc0_{n}_SIM", status="WAITING") for n in range(10_000)
    )
    keys = ",".join(map(str, experiment.jobs.values_list("pk", flat=True)))
    as_operator.post(FORM, {"selection": keys, "status": "SUSPENDED"})
    action = Action.objects.get()
    assert len(action.parameters["jobs"]) == 10_003
    assert len(action.command) > 1  # one argument of a command has its limit


def test_what_is_gone_meanwhile_is_not_found(as_operator: Client, job: Job) -> None:
    sent = {"selection": selection(job), "status": "SUSPENDED"}
    job.delete()
    assert as_operator.post(FORM, sent).status_code == 404


def test_the_form_of_many_is_opened_from_the_list_only(as_operator: Client, job: Job) -> None:
    answer = as_operator.get(FORM, {"selection": selection(job), "status": "SUSPENDED"})
    assert (answer.status_code, answer["Location"], Action.objects.count()) == (302, JOBS, 0)


def test_what_is_wrong_with_the_form_is_said_once(as_operator: Client, job: Job) -> None:
    other = factories.create_job(factories.create_experiment(job.experiment.site, expid="a001"))
    answer = as_operator.post(FORM, {"selection": selection(job, other)})
    assert (answer.status_code, Action.objects.count()) == (400, 0)
    assert answer.context["form"].errors == {"status": ["This field is required."]}


def test_a_refused_form_of_many_still_leads_back_to_the_filtered_list(as_operator: Client, job: Job) -> None:
    sent = {"action": "set_status", "_selected_action": [job.pk], "index": 0}
    opened = as_operator.post(f"{JOBS}?status=FAILED&q=SIM", sent)
    fields = {"selection": opened.context["page"].selection, "filters": opened.context["page"].filters}
    refused = as_operator.post(FORM, fields)
    assert refused.status_code == 400
    assert [page.context["page"].back for page in (opened, refused)] == [f"{JOBS}?status=FAILED&q=SIM"] * 2


@pytest.mark.parametrize("filters", ["https://evil.example.org", "//evil.example.org", '"><script>', "\r\nX: y"])
def test_the_way_back_leads_to_the_list_whatever_the_field_says(as_operator: Client, job: Job, filters: str) -> None:
    refused = as_operator.post(FORM, {"selection": selection(job), "filters": filters})
    assert refused.context["page"].back.startswith(f"{JOBS}?")
    assert "<script>" not in text_of(refused)


def test_a_success_leads_to_the_filtered_list(as_operator: Client, job: Job) -> None:
    other = factories.create_job(factories.create_experiment(job.experiment.site, expid="a001"))
    sent = {"selection": selection(job, other), "status": "SUSPENDED", "filters": "status=FAILED"}
    assert as_operator.post(FORM, sent)["Location"] == f"{JOBS}?status=FAILED"


def test_of_a_very_long_command_the_rest_is_shown_on_demand(as_operator: Client, experiment: Experiment) -> None:
    jobs = [factories.create_job(experiment, f"a000_20000101_fc0_{number}_SIM") for number in range(60)]
    page = text_of(as_operator.post(f"{FORM}preview/", {"selection": selection(*jobs), "status": "SUSPENDED"}))
    short, whole = page.split("the whole command", 1)
    assert (jobs[-1].name in short, jobs[-1].name in whole.partition("</pre>")[0]) == (False, True)
