"""What is said where Autosubmit's status table, the process and the job list contradict each other."""

import os
import platform
import pwd
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from autosubmit_portal.audit.models import AuditEntry
from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.store import Store
from experiments.mirror.consistency import Doubts
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site, State
from tests.conftest import MakeExperiment
from tests.support import factories, stores
from tests.support.lock_holders import lock_held, running
from tests.support.signals import signalled_again
from tests.support.small_stores import COMPLETED, FAILED, READY, RUNNING, SUBMITTED, WAITING, make_store, write_pickle
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.django_db
STATUS = (
    "CREATE TABLE IF NOT EXISTS experiment_status (exp_id integer PRIMARY KEY, name text NOT NULL, "
    "status text NOT NULL, seconds_diff integer NOT NULL, modified text NOT NULL);"
)
HISTORY = (
    "CREATE TABLE IF NOT EXISTS experiment_run (run_id INTEGER, start INTEGER, finish INTEGER);"
    "CREATE TABLE IF NOT EXISTS job_data (id INTEGER, job_name TEXT);"
)
STARTED_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOST, WHO = platform.node(), pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment that was never run."""
    return make_store(tmp_path, ["a000"])


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves it."""
    return factories.create_store_site(store)


def record(store: Store, status: str, at: str = "2026-11-24T12:00:00+0000", name: str = "as_times.db") -> None:
    """Write into the status table, as `autosubmit run` does when it starts."""
    row = ("INSERT OR REPLACE INTO experiment_status VALUES (1, 'a000', ?, 0, ?)", (status, at))
    stores.make_database(store.root / name, STATUS, [row])


def add_run(store: Store, run_id: int, finish: int) -> None:
    """Write a run into the history that ended so many seconds after it started; 0: not yet."""
    start = int(STARTED_AT.timestamp())
    row = ("INSERT INTO experiment_run VALUES (?, ?, ?)", (run_id, start, start + finish if finish else 0))
    stores.make_database(store.root / "d/job_data_a000.db", HISTORY, [row])


@pytest.fixture
def site_of_autosubmit(db: None, autosubmit: Path, autosubmit_home: Path) -> Site:
    """A site that serves the store of the real Autosubmit."""
    return factories.create_site(autosubmit=str(autosubmit), home=str(autosubmit_home))


def look_all(site: Site) -> None:
    """Make one pass that tells at once what it sees."""
    mirror = SiteMirror(site.pk, is_patient=False)
    mirror.look()
    mirror.lease.release()


def look(site: Site) -> Experiment:
    """Make one pass that tells at once what it sees, and return the only experiment."""
    look_all(site)
    return Experiment.objects.select_related("site").get(site=site)


def test_an_experiment_that_was_never_run_contradicts_nothing(site: Site) -> None:
    assert look(site).disagreement == ""


@pytest.mark.parametrize("name", ["as_times.db", "autosubmit.db"])
def test_a_database_that_says_running_without_a_process_is_told(site: Site, store: Store, name: str) -> None:
    record(store, "RUNNING", name=name)
    experiment = look(site)
    assert experiment.disagreement.startswith(
        f"Autosubmit's database says RUNNING, but no process was found on {HOST}."
    )
    assert experiment.disagrees_since is not None


def test_jobs_that_are_active_without_a_process_are_told_with_their_numbers(site: Site, store: Store) -> None:
    write_pickle(store, "a000", RUNNING, RUNNING, SUBMITTED, COMPLETED)
    assert look(site).disagreement.startswith(
        f"The job list has 1 SUBMITTED, 2 RUNNING, but no process was found on {HOST}."
    )


def test_both_together_are_told_in_one_sentence(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    write_pickle(store, "a000", RUNNING)
    assert "says RUNNING and the job list has 1 RUNNING, but no process" in look(site).disagreement


def test_a_run_that_ended_by_itself_contradicts_nothing(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    add_run(store, 1, finish=60)
    assert look(site).disagreement == ""


def test_a_job_list_that_was_generated_after_the_run_ended_contradicts_nothing(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    add_run(store, 1, finish=60)
    add_run(store, 2, finish=0)
    assert look(site).disagreement == ""


def test_a_run_that_ended_with_failed_jobs_contradicts_nothing(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    write_pickle(store, "a000", COMPLETED, FAILED, WAITING)
    assert look(site).disagreement == ""


def test_a_run_that_had_nothing_left_to_do_contradicts_nothing(site: Site, store: Store) -> None:
    record(store, "RUNNING", at="2026-11-24T12:01:00+0000")
    add_run(store, 1, finish=60)  # in the second in which it began
    write_pickle(store, "a000", COMPLETED, COMPLETED)
    assert look(site).disagreement == ""


def test_a_run_that_is_gone_while_jobs_wait_contradicts_itself(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    write_pickle(store, "a000", COMPLETED, WAITING)
    assert "says RUNNING" in look(site).disagreement


def test_a_run_that_left_ready_jobs_has_not_ended_by_itself(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    write_pickle(store, "a000", FAILED, READY)
    assert "says RUNNING" in look(site).disagreement


def test_an_end_at_the_very_start_is_that_of_the_run_before(site: Site, store: Store) -> None:
    record(store, "RUNNING", at="2026-11-24T12:01:00+0000")
    add_run(store, 1, finish=60)
    add_run(store, 2, finish=0)
    assert "says RUNNING" in look(site).disagreement


def test_an_end_before_the_last_start_does_not_count(site: Site, store: Store) -> None:
    record(store, "RUNNING", at="2026-11-24T13:00:00+0000")
    add_run(store, 1, finish=60)
    assert "says RUNNING" in look(site).disagreement


def test_a_start_of_an_old_version_without_a_zone_is_not_compared(site: Site, store: Store) -> None:
    record(store, "RUNNING", at="2026-11-24-14:00:00")
    add_run(store, 1, finish=60)
    assert look(site).disagreement == ""


# --- After a stop


@pytest.fixture
def left(site: Site, store: Store) -> Experiment:
    """An experiment whose run is gone; its status table and two jobs are as the run left them."""
    record(store, "RUNNING")
    write_pickle(store, "a000", RUNNING, SUBMITTED, COMPLETED)
    experiment = look(site)
    assert "no process was found" in experiment.disagreement
    return experiment


def seen_again(experiment: Experiment, store: Store) -> Experiment:
    write_pickle(store, "a000", RUNNING, SUBMITTED)
    return look(experiment.site)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "stop", "state": State.SUCCEEDED, "ended_at": STARTED_AT + timedelta(minutes=9)},
        {"kind": "stop", "state": State.RUNNING},
        {"kind": "run", "state": State.CANCELLED, "exit_status": 88, "ended_at": timezone.now()},
        {"kind": "restart", "step": 1, "state": State.CANCELLED, "exit_status": 88, "ended_at": timezone.now()},
    ],
)
def test_jobs_that_go_on_after_a_stop_are_no_contradiction_and_said_to_be_unwatched(
    left: Experiment, store: Store, values: dict[str, Any]
) -> None:
    factories.create_action(left, **values)
    experiment = seen_again(left, store)
    assert (experiment.disagreement, experiment.disagrees_since) == ("", None)
    assert "without anybody watching: 1 SUBMITTED, 1 RUNNING." in experiment.unwatched_note


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "stop", "state": State.SUCCEEDED, "ended_at": STARTED_AT - timedelta(minutes=9)},
        {"kind": "stop", "state": State.FAILED, "ended_at": timezone.now()},
        {"kind": "run", "state": State.LOST, "ended_at": timezone.now()},
        {"kind": "restart", "state": State.CANCELLED, "exit_status": 143, "ended_at": timezone.now()},
    ],
)
def test_jobs_of_a_run_that_was_not_stopped_are_a_contradiction(
    left: Experiment, store: Store, values: dict[str, Any]
) -> None:
    factories.create_action(left, **values)
    experiment = seen_again(left, store)
    assert "no process was found" in experiment.disagreement
    assert experiment.unwatched_note == ""


def write_stop_log(store: Store, name: str, at: datetime, *lines: str) -> None:
    """Write the log of a `stop` from a terminal, as Autosubmit does."""
    store.command_logs.mkdir(exist_ok=True)
    file = store.command_logs / name
    file.write_text("".join(f"2026-11-24 12:09:00,461 {line}\n" for line in lines))
    os.utime(file, (at.timestamp(), at.timestamp()))


STOPPED = ("Checking the status of the expid: a000", "Expid a000 is stopped")
LATER = STARTED_AT + timedelta(minutes=9)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("20261124_120900_stop_a000.log", STOPPED),
        ("20261124_120900_stop_a001_a000_a002.log", STOPPED),
        ("20261124_120900_stop_a000.log", ()),
        ("20261124_120900_stop.log", STOPPED),
    ],
    ids=["by its expid", "with others", "by force", "with all"],
)
def test_a_run_that_was_stopped_from_a_terminal_is_no_contradiction(
    left: Experiment, store: Store, name: str, lines: tuple[str, ...]
) -> None:
    write_stop_log(store, name, LATER, *lines)
    experiment = seen_again(left, store)
    assert (experiment.disagreement, experiment.disagrees_since) == ("", None)
    assert "without anybody watching" in experiment.unwatched_note


@pytest.mark.parametrize(
    ("name", "lines", "at"),
    [
        ("20261124_120900_stop_a000.log", ("Expid a000 was not running",), LATER),
        ("20261124_115000_stop_a000.log", STOPPED, STARTED_AT - timedelta(minutes=9)),
        ("20261124_120900_stop_a001.log", STOPPED, LATER),
        ("20261124_120900_stop.log", ("Checking the status of the expid: a001",), LATER),
        ("20261124_120900_stop_a000_err.log", STOPPED, LATER),
    ],
    ids=["not running", "the run before", "another", "all that ran", "errors"],
)
def test_a_stop_that_did_not_stop_the_run_explains_nothing(
    left: Experiment, store: Store, name: str, lines: tuple[str, ...], at: datetime
) -> None:
    write_stop_log(store, name, at, *lines)
    assert "no process was found" in seen_again(left, store).disagreement


def test_a_stop_log_that_is_a_named_pipe_explains_nothing(left: Experiment, store: Store) -> None:
    store.command_logs.mkdir()
    os.mkfifo(store.command_logs / "20261124_120900_stop_a000.log")
    assert "no process was found" in seen_again(left, store).disagreement


def test_a_run_that_lives_watches_its_jobs(site: Site, store: Store) -> None:
    write_pickle(store, "a000", RUNNING)
    with running(store.lock_file("a000")):
        assert look(site).unwatched_note == ""


def test_a_process_without_the_database_saying_so_is_told(site: Site, store: Store) -> None:
    record(store, "NOT RUNNING")
    with running(store.lock_file("a000")):
        assert look(site).disagreement.startswith("Autosubmit's database says NOT RUNNING, but process ")


def test_a_process_that_everybody_agrees_about_is_no_contradiction(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    write_pickle(store, "a000", RUNNING)
    with running(store.lock_file("a000")):
        assert look(site).disagreement == ""


def test_a_lock_of_somebody_else_is_told_while_it_is_held(site: Site, store: Store) -> None:
    with lock_held(store.lock_file("a000"), "/etc/hostname", program="reader") as pid:
        experiment = look(site)
        assert (experiment.is_running, experiment.locked_by) == (False, f"process {pid} of {WHO} on {HOST}")
        assert "Autosubmit refuses to start it until that process ends" in experiment.disagreement
    assert (look(site).disagreement, look(site).locked_by) == ("", "")


def test_a_lock_of_somebody_else_is_no_run_in_the_trail(site: Site, store: Store) -> None:
    watcher = SiteMirror(site.pk)
    watcher.look()
    with lock_held(store.lock_file("a000"), program="reader"):
        watcher.look()
        assert Experiment.objects.get().locked_by
    watcher.look()
    assert Experiment.objects.get().locked_by == ""
    assert not AuditEntry.objects.filter(door="mirror").exists()


def test_an_archived_experiment_contradicts_nothing(site: Site, store: Store) -> None:
    write_pickle(store, "a000", RUNNING)
    look(site)
    store.experiment_folder("a000").rename(store.root.parent / "away")
    experiment = look(site)
    assert (experiment.is_absent, experiment.disagreement) == (True, "")


def test_a_contradiction_that_was_resolved_is_not_told_any_more(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    look(site)
    record(store, "NOT RUNNING")
    experiment = look(site)
    assert (experiment.disagreement, experiment.disagrees_since) == ("", None)


def test_a_contradiction_keeps_its_time_while_its_numbers_change(site: Site, store: Store) -> None:
    write_pickle(store, "a000", RUNNING)
    first = look(site)
    write_pickle(store, "a000", RUNNING, RUNNING)
    second = look(site)
    assert "2 RUNNING" in second.disagreement
    assert second.disagrees_since == first.disagrees_since


def test_a_status_table_that_cannot_be_read_keeps_what_was_known(site: Site, store: Store) -> None:
    record(store, "RUNNING")
    look(site)
    (store.root / "as_times.db").write_bytes(b"broken")
    experiment = look(site)
    assert (experiment.recorded_status, experiment.site.problem) == ("RUNNING", "")


# --- Not crying wolf


def test_a_contradiction_that_passes_is_not_told(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    write_pickle(store, "a000", RUNNING)
    mirror.look()
    assert Experiment.objects.get().disagreement == ""
    write_pickle(store, "a000", COMPLETED)
    mirror.look()
    mirror.doubts.settle_seconds = 0
    mirror.look()
    assert Experiment.objects.get().disagreement == ""


def test_a_contradiction_that_stays_is_told_since_it_was_first_seen(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.doubts.settle_seconds = 0.001
    write_pickle(store, "a000", RUNNING)
    mirror.look()
    first = Experiment.objects.get()
    mirror.look()
    second = Experiment.objects.get()
    assert (first.disagreement, bool(second.disagreement)) == ("", True)
    assert second.disagrees_since is not None
    assert first.refreshed_at is not None
    assert first.refreshed_at < second.disagrees_since


def test_nothing_is_asked_of_experiments_that_have_not_changed(site: Site, django_assert_num_queries: object) -> None:
    doubts = Doubts(site.pk)
    with django_assert_num_queries(0):  # type: ignore[operator]
        doubts.judge(lambda _: None, "here")


# --- How fresh it is


def test_an_experiment_says_when_it_was_looked_at_without_being_written(site: Site) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    read = Experiment.objects.get().refreshed_at
    mirror.beaten = 0
    mirror.look()
    experiment = Experiment.objects.select_related("site").get()
    assert experiment.refreshed_at == read
    assert read is not None
    assert experiment.looked_at is not None
    assert experiment.looked_at > read


# --- The real Autosubmit


def start_run(site: Site, expid: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [site.autosubmit, "run", expid],
        env=make_environment(Path(site.autosubmit), Path(site.home), settings.CACHES_DIRECTORY),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def seen(site: Site, expid: str) -> Experiment:
    look_all(site)
    return Experiment.objects.get(site=site, expid=expid)


@pytest.mark.parametrize("kind", ["small", "failing"])
def test_a_real_run_that_ends_by_itself_leaves_no_contradiction(
    site_of_autosubmit: Site, make_experiment: MakeExperiment, kind: str
) -> None:
    expid = make_experiment(kind)
    start_run(site_of_autosubmit, expid).wait(PATIENCE)
    experiment = seen(site_of_autosubmit, expid)
    assert (experiment.recorded_status, experiment.disagreement) == ("RUNNING", "")


def test_a_real_run_that_is_killed_leaves_a_contradiction(
    site_of_autosubmit: Site, make_experiment: MakeExperiment
) -> None:
    expid = make_experiment("long")
    run = start_run(site_of_autosubmit, expid)
    wait_for(lambda: seen(site_of_autosubmit, expid).count("RUNNING") == 1)
    wait_for(lambda: seen(site_of_autosubmit, expid).recorded_status == "RUNNING")
    assert seen(site_of_autosubmit, expid).disagreement == ""
    run.kill()
    run.wait()
    contradiction = "Autosubmit's database says RUNNING and the job list has 1 RUNNING, but no process"
    wait_for(lambda: seen(site_of_autosubmit, expid).disagreement.startswith(contradiction))


def test_a_real_run_that_is_stopped_from_a_terminal_leaves_no_contradiction(
    site_of_autosubmit: Site, make_experiment: MakeExperiment
) -> None:
    expid = make_experiment("long")
    run = start_run(site_of_autosubmit, expid)
    wait_for(lambda: seen(site_of_autosubmit, expid).count("RUNNING") == 1)
    environment = make_environment(
        Path(site_of_autosubmit.autosubmit), Path(site_of_autosubmit.home), settings.CACHES_DIRECTORY
    )
    stop = [site_of_autosubmit.autosubmit, "stop", "-y", expid]
    with signalled_again(run):
        subprocess.run(stop, env=environment, check=True, capture_output=True, timeout=PATIENCE)
    run.wait(PATIENCE)
    experiment = seen(site_of_autosubmit, expid)
    assert (experiment.recorded_status, experiment.disagreement) == ("RUNNING", "")
