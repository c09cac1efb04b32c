"""What somebody does outside of the portal stands in the trail, once, and nothing else does."""

import os
import platform
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from autosubmit_portal.agent.accounts import get_name
from autosubmit_portal.audit.models import AuditEntry
from experiments.autosubmit.store import Store
from experiments.mirror import sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site, State
from jobs.autosubmit.secrets import MASK
from tests.conftest import MakeExperiment
from tests.support import factories, stores
from tests.support.lock_holders import running
from tests.support.services import ForkedAutosubmit
from tests.support.small_stores import COMPLETED, READY, RUNNING, add_experiment, make_store, write_jobs, write_pickle

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two experiments of one READY job each."""
    return make_store(tmp_path, ["a000", "a001"])


@pytest.fixture
def watcher(store: Store) -> SiteMirror:
    """A mirror that has made its first pass over it, and tells at once what contradicts itself."""
    made = SiteMirror(factories.create_store_site(store).pk)
    made.doubts.settle_seconds = 0
    made.look()
    return made


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(door="mirror").order_by("pk"))


def events() -> list[str]:
    return [entry.event for entry in entries()]


def log(store: Store, command: str, at: float | None = None) -> None:
    """Leave the log that a command of Autosubmit leaves."""
    folder = store.experiment_folder("a000") / "tmp" / "ASLOGS"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"20261124_120000_{command}.log"
    file.touch()
    if at is not None:
        os.utime(file, (at, at))


def experiment(expid: str = "a000") -> Experiment:
    return Experiment.objects.get(expid=expid)


def test_the_first_mirroring_of_a_store_is_no_change(watcher: SiteMirror) -> None:
    watcher.look()
    assert events() == []


def test_jobs_that_somebody_changed_are_one_entry_with_numbers(watcher: SiteMirror, store: Store) -> None:
    log(store, "setstatus")
    write_pickle(store, "a000", COMPLETED)
    watcher.look()
    (entry,) = entries()
    assert (entry.event, entry.expid) == ("experiment.jobs_changed_outside", "a000")
    assert entry.message == "Jobs changed: 1 from READY to COMPLETED (a000_0). Commands at work: setstatus."
    assert entry.details["changes"] == [["READY", "COMPLETED", 1]]


def test_a_change_is_told_once(watcher: SiteMirror, store: Store) -> None:
    write_pickle(store, "a000", COMPLETED)
    for _ in range(3):
        watcher.look()
    assert len(events()) == 1


def test_of_many_jobs_the_first_are_named(watcher: SiteMirror, store: Store) -> None:
    names = {f"a000_{number:04d}": READY for number in range(2000)}
    write_jobs(store, "a000", names)
    watcher.look()
    write_jobs(store, "a000", dict.fromkeys(names, COMPLETED))
    watcher.look()
    entry = entries()[-1]
    assert entry.message.startswith("Jobs changed: 2,000 from READY to COMPLETED (a000_0000, ")
    assert entry.message.endswith(" and 1,990 more).")
    assert len(entry.details["jobs"]) == 10


def test_a_job_list_that_somebody_generated_says_what_came_and_went(watcher: SiteMirror, store: Store) -> None:
    write_jobs(store, "a000", {"a000_X": READY, "a000_Y": READY})
    watcher.look()
    (entry,) = entries()
    assert entry.event == "experiment.job_list_changed_outside"
    assert entry.message == "Jobs changed: 2 added, 1 removed (a000_X, a000_Y, a000_0)."


def test_a_job_list_that_was_generated_with_the_same_jobs_is_a_changed_list(watcher: SiteMirror, store: Store) -> None:
    write_pickle(store, "a000", COMPLETED)
    watcher.look()
    log(store, "create")
    write_pickle(store, "a000", READY)
    watcher.look()
    assert events() == ["experiment.jobs_changed_outside", "experiment.job_list_changed_outside"]


def test_what_a_run_changes_is_not_from_outside(watcher: SiteMirror, store: Store) -> None:
    with running(store.lock_file("a000")):
        watcher.look()
        write_pickle(store, "a000", RUNNING)
        watcher.look()
        write_pickle(store, "a000", COMPLETED)
    watcher.look()
    assert events() == ["experiment.run_started_outside", "experiment.run_ended_outside"]


def test_a_run_outside_is_told_with_its_owner_its_host_and_its_command(watcher: SiteMirror, store: Store) -> None:
    with running(store.lock_file("a000")):
        watcher.look()
    (entry,) = entries()
    assert entry.details["owner"] == get_name(os.getuid())
    assert entry.details["command"].startswith("autosubmit ")
    assert f"on {platform.node()} holds the lock: autosubmit " in entry.message


@pytest.mark.parametrize(("status", "ending"), [(COMPLETED, "finished"), (RUNNING, "killed")])
def test_the_end_of_a_run_outside_says_how_it_ended(
    watcher: SiteMirror, store: Store, status: int, ending: str
) -> None:
    with running(store.lock_file("a000")):
        watcher.look()
        write_pickle(store, "a000", status)
        watcher.look()
    watcher.look()
    assert entries()[-1].details == {"owner": get_name(os.getuid()), "ending": ending}


def test_what_a_run_on_another_host_changes_is_not_from_outside(watcher: SiteMirror, store: Store) -> None:
    write_pickle(store, "a000", COMPLETED)
    log(store, "run")
    watcher.look()
    assert events() == []


def test_a_run_that_is_long_over_has_not_changed_anything_since(watcher: SiteMirror, store: Store) -> None:
    log(store, "run", at=timezone.now().timestamp() - 3600)
    write_pickle(store, "a000", COMPLETED)
    watcher.look()
    assert events() == ["experiment.jobs_changed_outside"]


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [(-60, None, 0), (-60, 10, 0), (-60, -30, 1), (30, None, 1)],
    ids=["at work", "ended since", "ended before", "started since"],
)
def test_what_an_action_changes_is_not_from_outside(
    watcher: SiteMirror, store: Store, started: int, ended: int | None, expected: int
) -> None:
    now = timezone.now()
    at: dict[str, Any] = {"started_at": now + timedelta(seconds=started), "state": State.RUNNING}
    if ended is not None:
        at |= {"ended_at": now + timedelta(seconds=ended), "state": State.SUCCEEDED}
    factories.create_action(experiment(), kind="set_status", **at)
    write_pickle(store, "a000", COMPLETED)
    watcher.look()
    assert len(events()) == expected


def test_what_a_worker_finds_before_it_starts_is_from_outside(watcher: SiteMirror, store: Store) -> None:
    write_pickle(store, "a000", COMPLETED)
    sync.refresh(Experiment.objects.select_related("site").get(expid="a000"))
    watcher.look()
    assert events() == ["experiment.jobs_changed_outside"]


def test_a_created_experiment_is_told(watcher: SiteMirror, store: Store) -> None:
    add_experiment(store, "a002")
    watcher.look()
    assert [(entry.event, entry.expid) for entry in entries()] == [("experiment.created_outside", "a002")]


def test_an_experiment_that_an_action_creates_is_not_from_outside(watcher: SiteMirror, store: Store) -> None:
    action = factories.create_action(experiment(), kind="create", state=State.RUNNING, started_at=timezone.now())
    type(action).objects.update(experiment=None, expid="")
    add_experiment(store, "a002")
    watcher.look()
    assert events() == []


def test_a_deleted_experiment_is_told(watcher: SiteMirror, store: Store) -> None:
    stores.make_database(store.database, "DELETE FROM experiment WHERE name = 'a001';")
    watcher.look()
    assert [(entry.event, entry.expid) for entry in entries()] == [("experiment.deleted_outside", "a001")]


def test_the_owner_is_told_with_what_was_done(watcher: SiteMirror, store: Store) -> None:
    Experiment.objects.filter(expid="a001").update(recorded_owner="ana")
    stores.make_database(store.database, "DELETE FROM experiment WHERE name = 'a001';")
    write_pickle(store, "a000", COMPLETED)
    shutil.rmtree(store.experiment_folder("a000"))
    watcher.look()
    assert {entry.event: entry.details.get("owner") for entry in entries()} == {
        "experiment.deleted_outside": get_name(os.getuid()),
        "experiment.folder_lost_outside": get_name(os.getuid()),
    }


def test_a_changed_description_is_told_with_both_texts(watcher: SiteMirror, store: Store) -> None:
    old = experiment().description
    stores.make_database(store.database, "UPDATE experiment SET description = 'new' WHERE name = 'a000';")
    watcher.look()
    (entry,) = entries()
    assert entry.event == "experiment.description_changed_outside"
    assert entry.details == {"changes": {"description": [old, "new"]}}


def test_a_password_in_an_address_of_the_store_is_mirrored_nowhere(watcher: SiteMirror, store: Store) -> None:
    address = "https://ana:hunter2@x.example/r.git"
    stores.make_database(
        store.database,
        f"INSERT INTO details (exp_id, model) SELECT id, '{address}' FROM experiment;"
        f"UPDATE experiment SET description = 'of {address}';",
    )
    watcher.look()
    seen = experiment()
    assert (seen.model, seen.description) == (address.replace("hunter2", MASK), f"of {seen.model}")
    assert not [entry for entry in entries() if "hunter2" in f"{entry.details}{entry.message}"]


def test_a_text_that_an_older_portal_mirrored_whole_has_not_changed(watcher: SiteMirror, store: Store) -> None:
    stores.make_database(store.database, "UPDATE experiment SET description = 'TOKEN=hunter2';")
    Experiment.objects.update(description="TOKEN=hunter2")
    watcher.look()
    assert (experiment().description, entries()) == (f"TOKEN={MASK}", [])


def test_an_archived_experiment_is_told_and_so_is_its_return(watcher: SiteMirror, store: Store) -> None:
    folder, away = store.experiment_folder("a000"), store.root.parent / "away"
    (store.root / "2026").mkdir()
    (store.root / "2026" / "a000.tar.gz").touch()
    folder.rename(away)
    watcher.look()
    away.rename(folder)
    watcher.look()
    assert events() == ["experiment.archived_outside", "experiment.unarchived_outside"]


def test_a_folder_that_was_removed_is_told(watcher: SiteMirror, store: Store) -> None:
    store.experiment_folder("a000").rename(store.root.parent / "away")
    watcher.look()
    assert events() == ["experiment.folder_lost_outside"]


def test_of_an_experiment_that_was_never_generated_a_lost_folder_and_its_return_are_told(
    watcher: SiteMirror, store: Store
) -> None:
    folder, away = store.experiment_folder("a000"), store.root.parent / "away"
    shutil.rmtree(folder)
    folder.mkdir()
    watcher.look()
    before = len(events())
    folder.rename(away)
    watcher.look()
    assert experiment().is_absent
    away.rename(folder)
    watcher.look()
    assert not experiment().is_absent
    assert events()[before:] == ["experiment.folder_lost_outside", "experiment.unarchived_outside"]


def test_a_second_mirror_process_tells_nothing_anew(watcher: SiteMirror, store: Store) -> None:
    write_pickle(store, "a000", COMPLETED)
    watcher.look()
    watcher.lease.release()
    SiteMirror(watcher.site_id).look()
    assert len(events()) == 1


# --- The real Autosubmit


def test_a_status_set_in_a_terminal_is_in_the_trail(site: Site, make_experiment: MakeExperiment) -> None:
    expid = make_experiment("small")
    watcher = SiteMirror(site.pk)
    watcher.look()
    for log_of_create in (Path(site.home) / "autosubmit" / expid / "tmp" / "ASLOGS").iterdir():
        os.utime(log_of_create, (0, 0))  # on a quick machine it would be as new as what comes now
    autosubmit = ForkedAutosubmit(Path(site.autosubmit), Path(site.home))
    autosubmit.call("setstatus", "--save", "--status_final=SUSPENDED", f"--list={expid}_SETUP", expid)
    watcher.look()
    entry = AuditEntry.objects.get(expid=expid, event="experiment.jobs_changed_outside")
    assert entry.message == f"Jobs changed: 1 from READY to SUSPENDED ({expid}_SETUP). Commands at work: setstatus."


def test_an_experiment_generated_in_a_terminal_is_in_the_trail(site: Site, make_experiment: MakeExperiment) -> None:
    expid = make_experiment("waiting")
    watcher = SiteMirror(site.pk)
    watcher.look()
    ForkedAutosubmit(Path(site.autosubmit), Path(site.home)).call("create", "--noplot", expid)
    watcher.look()
    entry = AuditEntry.objects.get(expid=expid)
    assert entry.event == "experiment.job_list_changed_outside"
    assert entry.details["commands"] == ["create"]
