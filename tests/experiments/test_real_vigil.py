"""What is said of real runs of the real Autosubmit: healthy with a long job, stopped by a signal, and killed."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from experiments.attention import rules
from experiments.mirror import vigil
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site
from tests.conftest import MakeExperiment
from tests.experiments.test_consistency import site_of_autosubmit, start_run
from tests.support.waiting import wait_for

__all__ = ["site_of_autosubmit"]
pytestmark = pytest.mark.django_db


class Watched:
    """A real run with a job that sleeps, and a mirror that asks the rules in each pass."""

    def __init__(self, site: Site, expid: str) -> None:
        self.run = start_run(site, expid)
        self.mirror = SiteMirror(site.pk)
        self.mirror.doubts.settle_seconds = 0.0
        self.rows = Experiment.objects.filter(site=site, expid=expid)

    def look(self) -> Experiment:
        """Make a pass; return the experiment."""
        self.mirror.look()
        return self.rows.get()

    def list_rules(self) -> list[str]:
        """Return which rules have found something in a pass."""
        return [alarm.rule for alarm in self.look().alarms]


@pytest.fixture
def watched(
    site_of_autosubmit: Site, make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    """A run whose job is on its platform. Its loop comes around every second."""
    monkeypatch.setattr(vigil, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(rules, "STOPPED_FOR", timedelta())
    made = Watched(site_of_autosubmit, make_experiment("long"))
    made.mirror.look()
    wait_for(lambda: made.look().count("RUNNING"))
    yield made
    made.run.send_signal(signal.SIGCONT)
    made.run.kill()
    made.run.wait()


def test_a_healthy_run_with_a_long_job_needs_nobody_and_is_seen_to_live(watched: Watched) -> None:
    first = watched.look().alive_at
    assert first is not None
    experiment = wait_for(watched.look, is_enough=lambda row: row.alive_at is not None and row.alive_at > first)
    assert (experiment.alarms, experiment.is_running) == ([], True)
    assert experiment.sleep_seconds is not None
    assert experiment.run_began_at is not None
    assert [status for status, _ in experiment.active_since.values()] == ["RUNNING"]


def test_a_run_that_is_stopped_by_a_signal_is_told_until_it_goes_on(watched: Watched) -> None:
    os.kill(watched.run.pid, signal.SIGSTOP)
    wait_for(lambda: watched.list_rules() == ["stopped"])
    assert "is stopped by a signal" in watched.rows.get().alarms[0].sentence
    os.kill(watched.run.pid, signal.SIGCONT)
    wait_for(lambda: watched.list_rules() == [])


def test_a_run_that_is_killed_is_dead(watched: Watched) -> None:
    watched.run.kill()
    watched.run.wait()
    wait_for(lambda: watched.list_rules() == ["dead"])
    assert watched.rows.get().alarms[0].sentence == "The process of the run is gone, but the run has not ended."
