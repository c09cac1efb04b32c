"""What destroys something needs a reason; the refusal says what would be lost, with numbers."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.api.documentation import kinds_of, table
from autosubmit_portal.audit.models import AuditEntry
from experiments.catalogue import Target
from experiments.models import Action, Experiment

# What is asked, whether the experiment runs, and what would be lost.
DESTRUCTIVE: list[tuple[str, Any, bool, str]] = [
    ("generate", {}, False, "a000 loses the progress of 1,203 jobs: 1,200 COMPLETED, 1 FAILED, 2 RUNNING."),
    (
        "stop",
        {"force": True},
        True,
        "The run of a000 is killed at once, whatever it is writing. "
        "Jobs that nobody watches any more: 2 RUNNING.",
    ),
    ("stop", {"cancel": True}, True, "The active jobs of a000 are cancelled: 2 RUNNING."),
    ("restart", {"force": True}, False, "The active jobs of a000 are cancelled: 2 RUNNING."),
]
destructive = pytest.mark.parametrize(("kind", "body", "is_running", "lost"), DESTRUCTIVE)


@pytest.fixture
def advanced(experiment: Experiment) -> Experiment:
    """The experiment with much to lose."""
    experiment.status_counts = {"COMPLETED": 1200, "FAILED": 1, "RUNNING": 2, "WAITING": 7}
    experiment.save()
    return experiment


def act(client: APIClient, kind: str, body: Any, is_running: bool, query: str = "") -> Any:
    Experiment.objects.update(is_running=is_running)
    return client.post(f"/v4/experiments/a000?action={kind}{query}", body, format="json")


@destructive
@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": "  "}], ids=str)
def test_without_a_reason_it_is_refused_and_told_what_would_be_lost(
    as_manager: APIClient, advanced: Experiment, kind: str, body: Any, is_running: bool, lost: str, reason: Any
) -> None:
    answer = act(as_manager, kind, body | reason, is_running)
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"reason": [f"Say why: {lost}"]}
    assert lost in AuditEntry.objects.get(event="action.refused").message
    assert not Action.objects.exists()


@destructive
def test_the_reason_is_kept_in_the_action_and_the_trail(
    as_manager: APIClient, advanced: Experiment, kind: str, body: Any, is_running: bool, lost: str
) -> None:
    answer = act(as_manager, kind, body | {"reason": "wrong forcing"}, is_running)
    assert (answer.status_code, answer.json()["reason"]) == (202, "wrong forcing")
    assert Action.objects.get().reason == "wrong forcing"
    assert AuditEntry.objects.get(event="action.requested").message == "wrong forcing"


@destructive
def test_a_dry_run_tells_the_loss_and_needs_no_reason(
    as_manager: APIClient, advanced: Experiment, kind: str, body: Any, is_running: bool, lost: str
) -> None:
    answer = act(as_manager, kind, body, is_running, "&dry_run=true")
    assert (answer.status_code, answer.json()["would_lose"]) == (200, lost)


@pytest.mark.parametrize(
    ("kind", "is_running"), [("run", False), ("restart", False), ("stop", True)], ids=str
)
def test_what_destroys_nothing_needs_none(
    as_manager: APIClient, advanced: Experiment, kind: str, is_running: bool
) -> None:
    assert act(as_manager, kind, {}, is_running).status_code == 202


def test_generating_what_has_not_begun_needs_none(as_manager: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(status_counts={"WAITING": 5, "READY": 1})
    assert act(as_manager, "generate", {}, is_running=False).status_code == 202


def test_the_document_says_which_kinds_may_need_one() -> None:
    rows = table(kinds_of(Target.EXPERIMENT)).splitlines()
    needing = [row.split("`")[1] for row in rows if "Needs a `reason`" in row]
    assert needing == ["stop", "restart", "generate"]
