"""What destroys something needs a reason; the refusal says what would be lost, with numbers."""

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.api.openapi.documentation import list_actions, write_table
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment

pytestmark = pytest.mark.one_database


@dataclass(frozen=True)
class Ask:
    """What is asked, whether the experiment runs, and what would be lost."""

    kind: str
    body: dict[str, Any]
    is_running: bool
    lost: str

    def of(self, client: APIClient, query: str = "", **more: str) -> Any:
        """Ask for it."""
        Experiment.objects.update(is_running=self.is_running)
        path = f"/v4/experiments/a000?action={self.kind}{query}"
        return client.post(path, self.body | more, format="json")


CANCELLED = "The active jobs of a000 are cancelled: 2 RUNNING."
KILLED = "The run of a000 is killed at once, whatever it is writing. Jobs that nobody watches any more: 2 RUNNING."
PROGRESS = "a000 loses the progress of 1,203 jobs: 1,200 COMPLETED, 1 FAILED, 2 RUNNING."
DESTRUCTIVE = [
    Ask("generate", {}, False, PROGRESS),
    Ask("stop", {"force": True}, True, KILLED),
    Ask("stop", {"cancel": True}, True, CANCELLED),
    Ask("stop", {"force": True, "cancel": True}, True, f"{KILLED} {CANCELLED}"),
    Ask("restart", {"force": True}, False, CANCELLED),
]
destructive = pytest.mark.parametrize("ask", DESTRUCTIVE, ids=lambda ask: " ".join([ask.kind, *ask.body]))


@pytest.fixture
def advanced(experiment: Experiment) -> Experiment:
    """The experiment with much to lose."""
    experiment.status_counts = {"COMPLETED": 1200, "FAILED": 1, "RUNNING": 2, "WAITING": 7}
    experiment.save()
    return experiment


@destructive
@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": "  "}], ids=str)
def test_without_a_reason_it_is_refused_and_told_what_would_be_lost(
    as_manager: APIClient, advanced: Experiment, ask: Ask, reason: dict[str, str]
) -> None:
    answer = ask.of(as_manager, **reason)
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"reason": [f"Say why: {ask.lost}"]}
    assert ask.lost in AuditEntry.objects.get(event="action.refused").message
    assert not Action.objects.exists()


@destructive
def test_the_reason_is_kept_in_the_action_and_the_trail(as_manager: APIClient, advanced: Experiment, ask: Ask) -> None:
    answer = ask.of(as_manager, reason="wrong forcing")
    assert (answer.status_code, answer.json()["reason"]) == (202, "wrong forcing")
    assert Action.objects.get().reason == "wrong forcing"
    assert AuditEntry.objects.get(event="action.requested").message == "wrong forcing"


@destructive
def test_a_dry_run_tells_the_loss_and_needs_no_reason(as_manager: APIClient, advanced: Experiment, ask: Ask) -> None:
    answer = ask.of(as_manager, "&dry_run=true")
    assert (answer.status_code, answer.json()["would_lose"]) == (200, ask.lost)


@pytest.mark.parametrize(
    "ask", [Ask("run", {}, False, ""), Ask("restart", {}, False, ""), Ask("stop", {}, True, "")], ids=str
)
def test_what_destroys_nothing_needs_none(as_manager: APIClient, advanced: Experiment, ask: Ask) -> None:
    assert ask.of(as_manager).status_code == 202


def test_generating_what_has_not_begun_needs_none(as_manager: APIClient, experiment: Experiment) -> None:
    Experiment.objects.update(status_counts={"WAITING": 5, "READY": 1})
    assert Ask("generate", {}, False, "").of(as_manager).status_code == 202


def test_the_document_says_which_kinds_may_need_one() -> None:
    rows = write_table(list_actions()).splitlines()
    needing = [row.split("`")[1] for row in rows if "Needs a `reason`" in row]
    assert needing == ["stop", "restart", "generate"]
