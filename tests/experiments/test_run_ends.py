"""When a run ended: as its process was seen to, or else as its jobs tell."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from experiments.autosubmit.forms import RunState
from experiments.autosubmit.store import Store
from experiments.forecast.forecast import NOT_MADE, Forecast, tell_forecast
from experiments.mirror import sync
from experiments.mirror.run_ends import settle_end
from experiments.mirror.sightings import UNSEEN
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Run, Site
from tests.experiments.test_consistency import add_run
from tests.support import factories
from tests.support.lock_holders import running
from tests.support.small_stores import make_store

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
IDLE = RunState(is_running=False, pid=None, evidence="nobody holds the lock")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an experiment whose job list was generated once."""
    made = make_store(tmp_path, ["a000"])
    (made.root / "d").mkdir(exist_ok=True)
    add_run(made, 1, finish=0)
    return made


@pytest.fixture
def mirror(store: Store) -> SiteMirror:
    return SiteMirror(factories.create_store_site(store).pk)


@pytest.fixture
def run_now(store: Store) -> Callable[[], AbstractContextManager[int]]:
    """What has a process hold the lock of the experiment, as a run does."""
    return lambda: running(store.lock_file("a000"))


def ended_at() -> datetime | None:
    return Run.objects.get().ended_at


def is_now(at: datetime | None) -> bool:
    return at is not None and abs(timezone.now() - at) < MINUTE


def test_a_run_ends_when_its_process_is_seen_to(
    mirror: SiteMirror, run_now: Callable[[], AbstractContextManager[int]]
) -> None:
    mirror.look()
    with run_now():
        mirror.look()
        assert ended_at() is None
    mirror.look()
    assert is_now(ended_at())


def test_a_run_that_goes_on_again_has_not_ended(
    mirror: SiteMirror, run_now: Callable[[], AbstractContextManager[int]]
) -> None:
    mirror.look()
    Run.objects.update(ended_at=START)
    with run_now():
        mirror.look()
        assert ended_at() is None


def test_a_job_list_that_is_generated_later_changes_no_end_and_has_none(
    mirror: SiteMirror, run_now: Callable[[], AbstractContextManager[int]], store: Store
) -> None:
    with run_now():
        mirror.look()
    mirror.look()
    before = ended_at()
    add_run(store, 2, finish=0)
    os.utime(store.list_lone_files("a000")[0])
    mirror.look()
    assert [run.ended_at for run in Run.objects.order_by("run_id")] == [before, None]


def test_what_was_forecast_of_the_run_before_is_not_said_of_one_that_has_just_begun(
    mirror: SiteMirror, run_now: Callable[[], AbstractContextManager[int]]
) -> None:
    mirror.look()
    before = Forecast(made_at=timezone.now(), ends_at=timezone.now(), durations={"SIM": [3.0]})
    Experiment.objects.update(forecast=tell_forecast(before))
    with run_now():
        mirror.look()
        found = Experiment.objects.get().current_forecast
    assert (found.ends_at, found.why_not, found.durations) == (None, NOT_MADE, before.durations)


# --- With rows alone


@pytest.fixture
def site() -> Site:
    """A site whose mirror looked a moment ago."""
    return factories.create_site(mirrored_at=timezone.now())


@pytest.fixture
def experiment(site: Site) -> Experiment:
    """An experiment that runs, in which a job has ended."""
    made = factories.create_experiment(site, is_running=True, evidence="process 7 on node holds the lock")
    factories.create_run(made, run_id=1, started_at=START, began_at=START + MINUTE)
    factories.create_job(made, status="COMPLETED", finished_at=START + 9 * MINUTE)
    factories.create_job(made, status="COMPLETED", finished_at=START - MINUTE)
    return made


def test_who_looks_first_writes_it_whoever_that_is(experiment: Experiment) -> None:
    sync.say_locked(experiment, IDLE)
    assert is_now(ended_at())


def test_a_run_that_nobody_watched_ended_with_its_last_job(experiment: Experiment) -> None:
    Site.objects.update(mirrored_at=timezone.now() - 60 * MINUTE)
    sync.say_unreadable(experiment, IDLE, "It is cut off.")
    assert ended_at() == START + 9 * MINUTE


def test_a_run_whose_host_was_silent_ended_with_its_last_job(experiment: Experiment) -> None:
    Experiment.objects.update(evidence=f"{UNSEEN} 2026-11-24 12:00 UTC")
    sync.say_locked(experiment, IDLE)
    assert ended_at() == START + 9 * MINUTE


def test_the_end_that_autosubmit_has_written_counts_where_it_is_later(experiment: Experiment) -> None:
    Run.objects.update(finished_at=START + 10 * MINUTE)
    settle_end(experiment, was_running=False, is_running=False)
    assert ended_at() == START + 10 * MINUTE


def test_nothing_is_said_of_a_run_in_which_no_job_has_ended(experiment: Experiment) -> None:
    Run.objects.update(began_at=START + 60 * MINUTE)
    settle_end(experiment, was_running=False, is_running=False)
    assert ended_at() is None


def test_an_end_that_was_seen_stays(experiment: Experiment) -> None:
    Run.objects.update(ended_at=START)
    settle_end(experiment, was_running=False, is_running=False)
    assert ended_at() == START
