"""Notes on experiments and jobs, and what somebody has seen, through the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment, Note
from jobs.models import Job
from tests.support import factories

pytestmark = pytest.mark.django_db

NOTES = "/v4/experiments/a000/notes"
BODY = {"text": "Wrong *restart* files", "pinned": True}
HOUR = timedelta(hours=1)


def texts(client: APIClient, address: str = NOTES) -> list[str]:
    return [note["text"] for note in client.get(address).json()["results"]]


def test_an_operator_writes_a_note_that_a_viewer_reads(
    as_operator: APIClient, as_viewer: APIClient, experiment: Experiment
) -> None:
    answer = as_operator.post(NOTES, BODY, format="json")
    assert (answer.status_code, answer.json()["author"], answer.json()["pinned"]) == (201, "operator", True)
    assert as_viewer.get(answer["Location"]).json() == answer.json()
    assert texts(as_viewer) == ["Wrong *restart* files"]


def test_a_note_on_a_job_is_listed_with_the_job_and_with_the_experiment(
    as_operator: APIClient, experiment: Experiment, job: Job
) -> None:
    address = f"/v4/experiments/a000/jobs/{job.name}/notes"
    assert as_operator.post(address, BODY, format="json").json()["job"] == job.name
    assert as_operator.post(NOTES, {"text": "Of all"}, format="json").json()["job"] == ""
    assert (texts(as_operator, address), len(texts(as_operator))) == (["Wrong *restart* files"], 2)


def test_the_trail_has_who_wrote_and_removed_what(as_operator: APIClient, experiment: Experiment) -> None:
    made = as_operator.post(NOTES, BODY, format="json")
    as_operator.delete(made["Location"])
    entries = AuditEntry.objects.filter(event__startswith="note.", expid="a000").order_by("pk")
    assert [(entry.event, entry.actor_name, entry.message) for entry in entries] == [
        ("note.written", "operator", "Wrong *restart* files"),
        ("note.removed", "operator", "Wrong *restart* files"),
    ]


def test_who_may_only_look_writes_nothing_and_that_is_recorded(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.post(NOTES, BODY, format="json")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.write_note")
    assert (Note.objects.count(), AuditEntry.objects.filter(event="note.refused").count()) == (0, 1)


@pytest.mark.parametrize(("who", "status"), [("operator", 200), ("manager", 200), ("another", 403)])
def test_the_author_and_a_manager_remove_a_note(
    who: str, status: int, api: Callable[..., APIClient], operator: User, experiment: Experiment
) -> None:
    note = factories.create_note(experiment, author=operator, author_name="operator")
    others = {"manager": Role.MANAGER, "another": Role.OPERATOR}
    people = {"operator": operator, **{name: factories.create_user(role) for name, role in others.items()}}
    assert api(people[who]).delete(f"{NOTES}/{note.pk}").status_code == status
    assert Note.objects.current().exists() == (status == 403)


def test_a_note_that_is_gone_is_not_removed_again(as_manager: APIClient, experiment: Experiment) -> None:
    note = factories.create_note(experiment)
    assert as_manager.delete(f"{NOTES}/{note.pk}").json()["removed_by"] == "manager"
    assert as_manager.delete(f"{NOTES}/{note.pk}").status_code == 409


def test_what_is_over_is_listed_only_when_all_are_asked_for(as_viewer: APIClient, experiment: Experiment) -> None:
    factories.create_note(experiment, text="old", ends_at=timezone.now() - HOUR)
    factories.create_note(experiment, text="removed", removed_at=timezone.now())
    factories.create_note(experiment, text="new", ends_at=timezone.now() + HOUR)
    assert texts(as_viewer) == ["new"]
    assert texts(as_viewer, f"{NOTES}?all=true") == ["new", "removed", "old"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": "x" * 10_001}, "text"),
        ({"ends_at": "2001-01-01"}, "ends_at"),
        ({"acknowledges": "weather"}, "acknowledges"),
    ],
)
def test_a_body_that_makes_no_sense_names_the_field(
    wrong: dict[str, Any], field: str, as_operator: APIClient, experiment: Experiment
) -> None:
    answer = as_operator.post(NOTES, BODY | wrong, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_failure_is_acknowledged_in_its_state(as_operator: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(failed_at=timezone.now())
    answer = as_operator.post(NOTES, {"text": "Ticket 123", "acknowledges": "failure"}, format="json")
    assert (answer.status_code, answer.json()["acknowledges"]) == (201, "failure")
    assert AuditEntry.objects.filter(event="note.acknowledged", message="Ticket 123").exists()


def test_of_two_who_acknowledge_the_same_the_later_one_counts(as_operator: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(failed_at=timezone.now())
    for text in ("first", "second"):
        as_operator.post(NOTES, {"text": text, "acknowledges": "failure"}, format="json")
    assert texts(as_operator) == ["second"]


def test_there_is_nothing_to_acknowledge_where_all_is_well(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(NOTES, {"text": "x", "acknowledges": "attention"}, format="json")
    assert (answer.status_code, "nothing to acknowledge" in answer.json()["detail"]) == (409, True)


def test_notes_on_what_one_may_not_see_are_not_there(api: Callable[..., APIClient], experiment: Experiment) -> None:
    stranger = factories.create_user()
    factories.create_team((stranger, Role.MANAGER), covers={"owner": "nobody"})
    assert api(stranger).get(NOTES).status_code == 404
    assert api(stranger).post(NOTES, BODY, format="json").status_code == 404
