"""What the mirror writes of experiments that need somebody, with real processes, and what it leaves alone."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from experiments.attention import rules
from experiments.autosubmit.life import Life
from experiments.autosubmit.store import Store
from experiments.forecast.wallclock import parse_wallclock
from experiments.mirror import outlook, vigil
from experiments.mirror.site_mirror import SiteMirror
from experiments.mirror.vigil import Vigil
from experiments.models import Experiment, Site
from tests.experiments.test_consistency import record
from tests.support import factories
from tests.support.lock_holders import running
from tests.support.small_stores import READY, RUNNING, make_store, write_pickle
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "STOPPED_FOR", timedelta())
    monkeypatch.setattr(vigil, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, ["a000"])


@pytest.fixture
def site(store: Store) -> Site:
    return factories.create_store_site(store)


@pytest.fixture
def mirror(site: Site) -> SiteMirror:
    made = SiteMirror(site.pk)
    made.doubts.settle_seconds = 0.0
    made.look()
    return made


@pytest.fixture
def pid(store: Store) -> Iterator[int]:
    """A run of a000 that lives, and goes on if a test stops it."""
    with running(store.lock_file("a000")) as number:
        yield number
        os.kill(number, signal.SIGCONT)


def look(mirror: SiteMirror) -> list[str]:
    """Make a pass; return the rules that have found something."""
    mirror.look()
    return [alarm.rule for alarm in Experiment.objects.get().alarms]


def test_a_healthy_run_needs_nobody(mirror: SiteMirror, pid: int) -> None:
    assert look(mirror) == []
    experiment = Experiment.objects.get()
    assert experiment.is_running
    assert experiment.run_began_at is not None
    assert abs(timezone.now() - experiment.run_began_at) < HOUR


def test_a_run_whose_process_is_stopped_is_told_and_that_it_goes_on(mirror: SiteMirror, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: look(mirror) == ["stopped"])
    assert Experiment.objects.get().attention_rules == ",stopped,"
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: look(mirror) == [])
    assert Experiment.objects.get().attention_rules == ""


def test_a_run_whose_process_is_gone_is_told(mirror: SiteMirror, store: Store) -> None:
    record(store, "RUNNING")
    write_pickle(store, "a000", RUNNING)
    with running(store.lock_file("a000")):
        assert look(mirror) == []
    wait_for(lambda: look(mirror) == ["dead"])
    (alarm,) = Experiment.objects.get().alarms
    assert "no process was found" in alarm.evidence


def test_a_stopped_run_is_stopped_for_a_new_mirror_since_when_the_old_one_saw_it(
    mirror: SiteMirror, pid: int, site: Site
) -> None:
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: look(mirror) == ["stopped"])
    before = Experiment.objects.get().attention
    mirror.lease.release()
    other = SiteMirror(site.pk)
    wait_for(lambda: look(other) == ["stopped"])
    assert Experiment.objects.get().attention == before


def test_a_job_that_was_reset_between_two_looks_is_not_seen_since_before(
    mirror: SiteMirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror.vigil, "keep", lambda: None)
    known = {"a000_0": ["RUNNING", "2026-11-01T03:46:00+00:00"], "a000_1": ["RUNNING", "2026-11-01T03:47:00+00:00"]}
    write_pickle(store, "a000", RUNNING, RUNNING)
    mirror.look()
    Experiment.objects.update(active_since=known)
    write_pickle(store, "a000", READY, RUNNING)
    mirror.look()
    assert Experiment.objects.get().active_since == {"a000_1": known["a000_1"]}


# --- With rows alone


@pytest.fixture
def experiment() -> Experiment:
    """An experiment that runs, and gave a sign of life a moment ago."""
    evidence = "process 7 on node holds the lock"
    return factories.create_experiment(is_running=True, evidence=evidence, changed_at=timezone.now(), sleep_seconds=10)


def keep(experiment: Experiment, known: Vigil | None = None, **values: Any) -> list[str]:
    """Change the row and ask the rules; return which have found something."""
    Experiment.objects.filter(pk=experiment.pk).update(**values)
    (known or Vigil(experiment.site_id)).keep()
    return [alarm.rule for alarm in Experiment.objects.get(pk=experiment.pk).alarms]


def test_a_run_whose_files_do_not_move_is_stalled(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "get_longest_quiet", lambda _: timedelta(seconds=-1))
    assert keep(experiment, changed_at=timezone.now() - HOUR) == ["stalled"]


def test_the_run_of_the_history_begins_when_its_process_does(experiment: Experiment) -> None:
    runs = [factories.create_run(experiment, run_id=number) for number in (1, 2)]
    known = Vigil(experiment.site_id)
    known.note(1, experiment.expid, Life("S", started_at=1_795_986_738.0))
    keep(experiment, known)
    for run in runs:
        run.refresh_from_db()
    assert [run.began_at for run in runs] == [None, datetime(2026, 11, 29, 21, 12, 18, tzinfo=UTC)]


def test_the_forecast_of_a_run_is_of_when_its_process_began(experiment: Experiment) -> None:
    now = timezone.now()
    for number in range(3):
        factories.create_job(experiment, status="COMPLETED", started_at=now - HOUR, finished_at=now - number * HOUR)
    factories.create_job(experiment)
    known = Vigil(experiment.site_id)
    known.note(1, experiment.expid, Life("S", started_at=(now - HOUR / 2).timestamp()))
    keep(experiment, known, run_began_at=now - 90 * HOUR)
    assert Experiment.objects.get().current_forecast.rate is None  # one job in half an hour


def test_a_job_is_followed_since_it_was_seen_in_its_status(experiment: Experiment) -> None:
    job = factories.create_job(experiment, status="RUNNING", wallclock="01:00")
    assert keep(experiment) == []
    experiment.refresh_from_db()
    status, since = experiment.active_since[job.name]
    assert (status, since[:13]) == ("RUNNING", timezone.now().isoformat()[:13])


def test_a_job_beyond_the_wallclock_of_its_section_is_overdue(experiment: Experiment) -> None:
    job = factories.create_job(experiment, status="RUNNING", section="SIM")
    known = {job.name: ["RUNNING", (timezone.now() - 2 * HOUR).isoformat()]}
    assert keep(experiment, active_since=known, plans={"SIM": {"wallclock": "01:00"}}) == ["overdue"]
    assert Experiment.objects.get().alarms[0].job == job.name


def test_a_job_that_is_running_again_begins_anew(experiment: Experiment) -> None:
    job = factories.create_job(experiment, status="RUNNING", wallclock="00:10")
    known = {job.name: ["QUEUING", (timezone.now() - 2 * HOUR).isoformat()]}
    assert keep(experiment, active_since=known) == []


def test_a_job_that_waits_for_nothing_is_found_when_it_is_seen_again(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "get_longest_quiet", lambda _: timedelta())
    monkeypatch.setattr(rules, "BLOCKED_FOR", timedelta())
    monkeypatch.setattr(vigil, "READY_PAUSE_SECONDS", 0.0)
    parent, child = (factories.create_job(experiment, status=status) for status in ("COMPLETED", "WAITING"))
    factories.create_dependency(parent, child)
    known = Vigil(experiment.site_id)
    assert "blocked" in keep(experiment, known)


def test_dependencies_are_looked_through_of_a_few_at_a_time(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(vigil, "LOOK_SECONDS", 0.0)

    def find(row: Experiment, known: str) -> str:
        looked.append(row.expid)
        return known

    monkeypatch.setattr(vigil, "_find_ready", find)
    for number in range(5):
        factories.create_experiment(
            experiment.site, expid=f"b{number:03}", is_running=True, status_counts={"WAITING": 1}
        )
    known = Vigil(experiment.site_id)
    for seen in (1, 2, 3, 4, 5, 5):
        known.keep()
        assert len(looked) == seen


def test_a_job_that_waits_for_another_is_not_blocked(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BLOCKED_FOR", timedelta())
    parent, child = (factories.create_job(experiment, status=status) for status in ("RUNNING", "WAITING"))
    factories.create_dependency(parent, child)
    assert keep(experiment) == []


def test_a_queue_that_does_not_move_is_told(experiment: Experiment) -> None:
    job = factories.create_job(experiment, status="QUEUING")
    known = {job.name: ["QUEUING", (timezone.now() - 30 * HOUR).isoformat()]}
    assert keep(experiment, active_since=known) == ["still_queue"]
    factories.create_job(experiment, status="COMPLETED", finished_at=timezone.now() - HOUR)
    assert keep(experiment) == []


def test_an_experiment_that_cannot_be_read_is_told_and_that_it_can(experiment: Experiment) -> None:
    assert keep(experiment, is_running=False, problem="It is cut off.") == ["unreadable"]
    assert keep(experiment, problem="") == []


def test_what_is_active_is_forgotten_when_the_run_has_ended(experiment: Experiment) -> None:
    keep(experiment, is_running=False, problem="It is cut off.", active_since={"a000_SIM": ["RUNNING", "x"]})
    assert Experiment.objects.get().active_since == {}


def test_nothing_is_written_where_nothing_has_changed(experiment: Experiment) -> None:
    factories.create_job(experiment, status="RUNNING")
    keep(experiment, problem="It is cut off.")
    with CaptureQueriesContext(connection) as captured:
        Vigil(experiment.site_id).keep()
    assert not [query for query in captured if query["sql"].startswith("UPDATE")]


def test_a_vigil_over_many_asks_no_more(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "TIMES_REST", 0.0)
    known = Vigil(experiment.site_id)  # each forecast is made once

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            known.keep()
        return len(captured)

    factories.create_job(experiment, status="RUNNING")
    count()
    before = count()
    for number in range(5):
        other = factories.create_experiment(experiment.site, is_running=True, changed_at=timezone.now())
        factories.create_job(other, f"{other.expid}_{number}", status="RUNNING")
    count()
    assert count() == before


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("01:30", 5400), ("24:00", 86_400), ("00:00:30", 30), ("", None), ("00:00", None), ("1d", None), ("-1:00", None)],
)
def test_a_wallclock_is_read(text: str, seconds: int | None) -> None:
    assert parse_wallclock(text) == seconds
