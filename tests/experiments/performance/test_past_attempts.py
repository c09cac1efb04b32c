"""What an agent tells of attempts, believed no more than what a browser says."""

from typing import Any

import pytest

from experiments import reads
from experiments.autosubmit.store import BrokenStore
from experiments.models import Experiment
from experiments.past_attempts import read_job_attempts, read_past_attempts
from jobs.autosubmit.history import MOST_PAST_ATTEMPTS, JobAttempt, PastAttempt, UnreadableHistory
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

ROW = ["a000_SIM", 3, "COMPLETED", 90, 100, 160, 4, 2**40]


@pytest.fixture
def experiment() -> Experiment:
    """An experiment whose agent each test puts words into the mouth of."""
    return factories.create_experiment()


def tell(monkeypatch: pytest.MonkeyPatch, attempts: Any) -> None:
    """Let the agent tell these attempts."""
    monkeypatch.setattr(reads, "read_document", lambda *_: {"attempts": attempts})


def test_attempts_are_read_as_they_are_told(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, [ROW])
    (found,) = read_past_attempts(experiment)
    assert found == PastAttempt("a000_SIM", 3, "COMPLETED", 90, 100, 160, 4, 2**40)
    assert (found.queue_seconds, found.run_seconds) == (10, 60)


def test_attempts_at_a_job_are_read_as_they_are_told(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, [[3, "FAILED", 90, 100, 160, 7, "a.out", "a.err"]])
    assert read_job_attempts(experiment, "a000_SIM") == [JobAttempt(3, "FAILED", 90, 100, 160, 7, "a.out", "a.err")]


def test_an_attempt_that_has_not_ended_took_no_time(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, [["a000_SIM", 3, "RUNNING", 90, 0, 0, 4, 0]])
    (found,) = read_past_attempts(experiment)
    assert (found.queue_seconds, found.run_seconds) == (0, 0)


@pytest.mark.parametrize(
    "attempts",
    [None, "x", [ROW[:3]], [{"name": "a000_SIM"}], [ROW] * (MOST_PAST_ATTEMPTS + 1)],
    ids=["nothing", "text", "short", "object", "many"],
)
def test_another_form_is_refused(experiment: Experiment, monkeypatch: pytest.MonkeyPatch, attempts: Any) -> None:
    tell(monkeypatch, attempts)
    with pytest.raises(BrokenStore, match="is not understood"):
        read_past_attempts(experiment)


def test_values_of_another_kind_become_harmless(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, [[["x"], "many", None, -5, 2**70, {}, -1, "x"]])
    assert read_past_attempts(experiment) == [PastAttempt("", 0, "", 0, 0, 0, 0, 0)]


def test_a_history_that_the_agent_cannot_read_says_why(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise reads.Unreadable("It is cut off.")

    monkeypatch.setattr(reads, "read_document", fail)
    with pytest.raises(UnreadableHistory, match="cut off"):
        read_past_attempts(experiment)
