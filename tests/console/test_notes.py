"""Notes on experiments and jobs in the console, and what somebody has seen."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.parts.markdown import render_markdown
from experiments.models import Experiment, Note
from jobs.models import Job
from tests.console.pages import page_of, text_of
from tests.console.test_now import alarm, put
from tests.support import factories

HOUR = timedelta(hours=1)


def write(client: Client, experiment: Experiment, **values: Any) -> Any:
    """Send the form, and return the page that is shown then."""
    address = reverse("admin:experiments_experiment_notes", args=[experiment.pk])
    return client.post(address, {"text": "Wrong *files*"} | values, follow=True)


def fail(experiment: Experiment) -> Experiment:
    Experiment.objects.filter(pk=experiment.pk).update(failed_at=timezone.now())
    return experiment


def listed(client: Client) -> tuple[list[str], list[str]]:
    """Return the words of what needs somebody, and of what somebody has seen."""
    shown = client.get("/").context
    return [need.word for need in shown["needs"]], [need.word for need, _ in shown["seen"]]


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    """A worker that lives, so that the portal itself needs nobody."""
    factories.create_worker()


def test_a_note_stands_on_the_page_of_its_experiment(as_operator: Client, experiment: Experiment) -> None:
    page = text_of(write(as_operator, experiment, is_pinned="on"))
    assert "<p>Wrong <em>files</em></p>" in page
    assert '<span class="flag">Pinned</span> <b>operator</b>' in page


def test_a_note_on_a_job_stands_on_its_page_and_on_that_of_the_experiment(
    as_operator: Client, experiment: Experiment, job: Job
) -> None:
    back = page_of("jobs_job", job.pk)
    answer = write(as_operator, experiment, job_name=job.name, back=back)
    assert (answer.redirect_chain[-1][0], "<em>files</em>" in text_of(answer)) == (back, True)
    assert "<em>files</em>" in text_of(as_operator.get(page_of("experiments_experiment", experiment.pk)))


def test_a_form_leads_to_no_other_host(as_operator: Client, experiment: Experiment) -> None:
    for back in ("https://evil.example.org/", "//evil.example.org/", "javascript:alert(1)"):
        answer = write(as_operator, experiment, back=back)
        assert answer.redirect_chain[-1][0] == page_of("experiments_experiment", experiment.pk)


def test_a_note_without_text_is_refused_with_words(as_operator: Client, experiment: Experiment) -> None:
    assert "Write something." in text_of(write(as_operator, experiment, text=" "))


def test_who_may_only_look_sees_notes_and_no_form(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_note(experiment)
    page = text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
    assert ("Look <em>here</em>" in page, "Write a note" in page) == (True, False)
    write(as_viewer, experiment)
    assert Note.objects.count() == 1


def test_the_author_removes_a_note(as_operator: Client, experiment: Experiment) -> None:
    write(as_operator, experiment)
    address = reverse("admin:experiments_experiment_notes_remove", args=[experiment.pk, Note.objects.get().pk])
    assert "The note is removed." in text_of(as_operator.post(address, follow=True))
    assert not Note.objects.current().exists()


def test_a_note_of_another_experiment_is_not_removed(as_manager: Client, experiment: Experiment) -> None:
    note = factories.create_note(factories.create_experiment(experiment.site))
    address = reverse("admin:experiments_experiment_notes_remove", args=[experiment.pk, note.pk])
    assert as_manager.post(address).status_code == 404


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;"),
        ("<img src=x onerror=alert(1)>", "&lt;img"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[x](data:text/html,x)", "[x](data:text/html,x)"),
        ("![x](https://example.org/x.png)", '!<a href="https://example.org/x.png" rel="noopener noreferrer nofollow">'),
        ("# Title", "# Title"),
        ("password=hunter2", "password="),
    ],
)
def test_a_note_holds_nothing_that_runs_or_loads(text: str, shown: str) -> None:
    html = render_markdown(text)
    assert shown in html
    assert not any(bad in html for bad in ("<script", "<img", 'href="javascript', 'href="data', "<h1", "hunter2"))


def test_a_failure_that_somebody_takes_is_seen_and_needs_nobody(as_operator: Client, experiment: Experiment) -> None:
    fail(experiment)
    assert listed(as_operator) == (["Failed"], [])
    write(as_operator, experiment, acknowledges="failure", text="Waiting for ticket 123", back="/")
    assert listed(as_operator) == ([], ["Failed"])
    page = text_of(as_operator.get("/"))
    assert "Taken by operator" in page
    assert "Waiting for ticket 123" in page
    assert "<title>Now" in page


def test_a_new_failure_needs_somebody_again(as_operator: Client, experiment: Experiment) -> None:
    write(as_operator, fail(experiment), acknowledges="failure")
    Experiment.objects.update(failed_at=timezone.now() + timedelta(seconds=1))
    assert listed(as_operator) == (["Failed"], [])


def test_what_was_taken_until_a_time_needs_somebody_after_it(as_operator: Client, experiment: Experiment) -> None:
    write(as_operator, fail(experiment), acknowledges="failure")
    Note.objects.update(ends_at=timezone.now() - HOUR)
    assert listed(as_operator) == (["Failed"], [])


def test_another_alarm_than_the_one_that_was_seen_needs_somebody(as_operator: Client, experiment: Experiment) -> None:
    put(experiment, alarm("stalled"))
    write(as_operator, experiment, acknowledges="attention")
    assert listed(as_operator) == ([], ["Stalled"])
    put(experiment, alarm("stopped"))
    assert listed(as_operator)[1] == []


def test_who_takes_back_what_they_took_is_asked_again(as_operator: Client, experiment: Experiment) -> None:
    write(as_operator, fail(experiment), acknowledges="failure")
    address = reverse("admin:experiments_experiment_notes_remove", args=[experiment.pk, Note.objects.get().pk])
    as_operator.post(address)
    assert listed(as_operator) == (["Failed"], [])


def test_who_may_not_act_is_not_offered_to_take_it(as_viewer: Client, experiment: Experiment) -> None:
    fail(experiment)
    assert "I take it" not in text_of(as_viewer.get("/"))


def test_a_member_of_a_team_sees_who_took_what_of_their_experiments_alone(
    as_operator: Client, experiment: Experiment
) -> None:
    write(as_operator, fail(experiment), acknowledges="failure", text="secret plan")
    stranger: User = factories.create_user()
    factories.create_team((stranger, Role.VIEWER), covers={"owner": "nobody"})
    client = Client()
    client.force_login(stranger)
    assert "secret plan" not in text_of(client.get("/"))
