"""The second person at the console."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from autosubmit_portal.access.roles import Role
from experiments.catalogue.kinds import RUN
from experiments.models import Action, Experiment, Site, State
from jobs.models import Job
from tests.console.pages import form_of, list_of, page_of, text_of


@pytest.fixture
def waiting(as_operator: Client, experiment: Experiment, job: Job) -> Action:
    """A run that waits for approval."""
    Site.objects.update(approval_kinds=["run"])
    answer = as_operator.post(form_of(RUN, job), follow=True)
    assert "waits for the approval of a second person" in text_of(answer)
    return Action.objects.get()


@pytest.fixture
def as_second(as_role: Callable[[Role], Client]) -> Client:
    return as_role(Role.OPERATOR)


def decide(client: Client, action: Action, what: str, **data: str) -> Action:
    client.post(reverse(f"admin:experiments_action_{what}", args=[action.pk]), data)
    action.refresh_from_db()
    return action


def test_the_form_says_that_a_second_person_is_needed(as_operator: Client, job: Job) -> None:
    Site.objects.update(approval_kinds=["run"])
    assert "A second person must approve it" in text_of(as_operator.get(form_of(RUN, job)))


def test_a_second_person_approves_on_the_page(as_second: Client, waiting: Action) -> None:
    assert "Approve: Start a000" in text_of(as_second.get(page_of("experiments_action", waiting.pk)))
    assert decide(as_second, waiting, "approve").state == State.QUEUED


def test_the_requester_sees_no_button_and_is_refused(as_operator: Client, waiting: Action) -> None:
    page = text_of(as_operator.get(page_of("experiments_action", waiting.pk)))
    assert "Waits for a second person" in page
    assert "Approve: Start a000" not in page
    assert decide(as_operator, waiting, "approve").state == State.AWAITING_APPROVAL


def test_a_viewer_is_refused(as_viewer: Client, waiting: Action) -> None:
    assert decide(as_viewer, waiting, "approve").state == State.AWAITING_APPROVAL


def test_looking_at_the_address_approves_nothing(as_second: Client, waiting: Action) -> None:
    answer = as_second.get(reverse("admin:experiments_action_approve", args=[waiting.pk]))
    assert answer.status_code == 405


def test_the_requester_reads_why_it_was_rejected(as_second: Client, as_operator: Client, waiting: Action) -> None:
    decide(as_second, waiting, "reject", reason="<b>Too early</b>")
    assert "&lt;b&gt;Too early&lt;/b&gt;" in text_of(as_operator.get(reverse("admin:index")))


def test_the_requester_reads_who_approved(as_second: Client, as_operator: Client, waiting: Action) -> None:
    decide(as_second, waiting, "approve")
    name = waiting.approved_by_name
    assert f"Approved by {name}." in text_of(as_operator.get(reverse("admin:index")))
    assert name in text_of(as_operator.get(page_of("experiments_action", waiting.pk)))


@pytest.mark.parametrize("who", ["as_second", "as_operator"])
def test_the_list_offers_the_decision_to_a_second_person_only(
    who: str, request: pytest.FixtureRequest, waiting: Action
) -> None:
    client: Client = request.getfixturevalue(who)
    page = text_of(client.get(list_of("experiments_action")))
    address = reverse("admin:experiments_action_approve", args=[waiting.pk])
    assert (f'formaction="{address}"' in page) is (who == "as_second")


def test_now_says_what_waits(as_second: Client, waiting: Action) -> None:
    assert "Waits for approval" in text_of(as_second.get(reverse("admin:index")))


def test_a_manager_chooses_what_needs_approval_and_never_a_stop(as_manager: Client, site: Site) -> None:
    page = text_of(as_manager.get(page_of("experiments_site", site.pk)))
    assert 'name="approval_kinds" value="run"' in page
    assert 'name="approval_kinds" value="stop"' not in page


def test_the_experiment_says_that_something_waits(as_second: Client, experiment: Experiment, waiting: Action) -> None:
    page = text_of(as_second.get(page_of("experiments_experiment", experiment.pk)))
    assert "A second person must approve it." in page
