"""Which experiments a pass looks at, how often, and how little it looks at where nothing has changed."""

import os
import pickle
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from experiments.autosubmit import store as store_module
from experiments.autosubmit.liveness import Locks
from experiments.autosubmit.store import Store
from experiments.mirror import scanner
from experiments.mirror.scanner import SiteMirror
from experiments.mirror.sync import Content, read
from experiments.models import Experiment, Site
from tests.support import factories
from tests.support.lock_holders import running
from tests.support.small_stores import COMPLETED, make_store, write_pickle
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
EXPIDS = [f"a{number:03d}" for number in range(20)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with twenty quiet experiments."""
    return make_store(tmp_path, EXPIDS)


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves it; its program only tells a version."""
    return factories.create_store_site(store)


@pytest.fixture
def mirror(site: Site, monkeypatch: pytest.MonkeyPatch) -> SiteMirror:
    """Its mirror after a first pass, on a file system so slow that time allows only one look at a time."""
    made = SiteMirror(site.pk)
    made.look()
    for name in ("GLANCE_SHARE", "LOOK_SHARE"):
        monkeypatch.setattr(scanner, name, 0)
    for name in ("GLANCE_TURN_SECONDS", "LOOK_TURN_SECONDS"):
        monkeypatch.setattr(scanner, name, len(EXPIDS) * site.refresh_seconds)
    monkeypatch.setattr(scanner, "LEAST_LOOKS", 1)
    return made


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was looked at."""
    counted: Counter[str] = Counter()
    stat = store_module._stat

    def counting(name: str) -> tuple[int, int, int]:
        counted[name] += 1
        return stat(name)

    monkeypatch.setattr(store_module, "_stat", counting)
    return counted


def looked_at(stats: Counter[str], store: Store) -> set[str]:
    """The experiments of which all files were looked at: an edge database is one of them."""
    return {expid for expid in EXPIDS if stats[store.list_databases(expid)[1]]}


def test_quiet_experiments_are_looked_at_in_turns(mirror: SiteMirror, store: Store, stats: Counter[str]) -> None:
    mirror.look()
    first = looked_at(stats, store)
    mirror.look()
    assert (len(first), len(looked_at(stats, store))) == (1, 2)


def test_every_quiet_experiment_has_its_turn(mirror: SiteMirror, store: Store, stats: Counter[str]) -> None:
    for _ in EXPIDS:
        mirror.look()
    assert looked_at(stats, store) == {*EXPIDS}


def test_a_running_experiment_is_looked_at_in_every_pass(mirror: SiteMirror, store: Store, stats: Counter[str]) -> None:
    with running(store.lock_file("a007")):
        for _ in EXPIDS:
            mirror.look()
        stats.clear()
        mirror.look()
        assert "a007" in looked_at(stats, store)


def test_an_experiment_with_an_active_action_is_looked_at_in_every_pass(
    mirror: SiteMirror, store: Store, stats: Counter[str]
) -> None:
    factories.create_action(Experiment.objects.get(expid="a007"))
    mirror.look()
    assert "a007" in looked_at(stats, store)


def test_an_experiment_that_changed_lately_is_looked_at_in_every_pass(
    mirror: SiteMirror, store: Store, stats: Counter[str]
) -> None:
    write_pickle(store, "a007", COMPLETED)
    for _ in EXPIDS:
        mirror.look()
    stats.clear()
    mirror.look()
    assert "a007" in looked_at(stats, store)


def test_a_changed_job_list_of_a_quiet_experiment_is_seen_within_a_pass_where_time_allows(
    site: Site, store: Store
) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    write_pickle(store, "a019", COMPLETED)
    mirror.look()
    assert Experiment.objects.get(expid="a019").status_counts == {"COMPLETED": 1}


def test_a_glance_looks_at_one_file_only(mirror: SiteMirror, store: Store, stats: Counter[str]) -> None:
    for _ in range(5):
        mirror.look()
    glanced = {name for name in stats if f"{store.root}/a0" in name} - {
        name
        for expid in looked_at(stats, store)
        for name in (*store.list_lone_files(expid), *store.list_databases(expid))
    }
    assert all(name.endswith(".pkl") for name in glanced)


def test_the_lock_file_is_not_looked_at_while_nothing_is_locked(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "read_locks", Locks)
    mirror = SiteMirror(site.pk)
    mirror.look()
    asked: list[str] = []
    stat = os.stat

    def asking(name: Any, **how: Any) -> os.stat_result:
        asked.append(str(name))
        return stat(name, **how)

    monkeypatch.setattr(os, "stat", asking)
    mirror.look()
    assert asked
    assert not [name for name in asked if name.endswith(".lock")]


def test_a_pass_that_leaves_a_large_list_to_the_next_is_behind(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, may_end = SiteMirror(site.pk), threading.Event()
    mirror.look()
    monkeypatch.setattr(scanner, "SMALL_BYTES", 0)
    monkeypatch.setattr(scanner, "read", lambda *what, **how: may_end.wait() and read(*what, **how))
    write_pickle(store, "a000", COMPLETED)
    mirror.look()
    assert mirror.is_behind
    may_end.set()
    wait_for(lambda: mirror.look() == [] and not mirror.is_behind)
    assert Experiment.objects.get(expid="a000").status_counts == {"COMPLETED": 1}


def test_a_mirror_of_a_broken_store_is_not_behind(mirror: SiteMirror, site: Site) -> None:
    mirror.backlog.add("a000", 1)
    Site.objects.update(home="/nowhere")
    mirror.look()
    assert not mirror.is_behind


# --- Files that cannot be read


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the mirror: its last entry is the time."""
    times = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: times[-1])
    return times


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The experiments in the order in which the mirror tried to read them."""
    tried: list[str] = []

    def counting(store: Store, expid: str, *cached: Any, **keeps: Any) -> Content:
        tried.append(expid)
        return read(store, expid, *cached, **keeps)

    monkeypatch.setattr(scanner, "read", counting)
    return tried


def test_a_file_that_cannot_be_read_is_tried_again_less_and_less_often(
    site: Site, store: Store, clock: list[float], tries: list[str]
) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(b"broken")
    mirror.look()
    mirror.look()
    for wait in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        tries.clear()
        clock.append(clock[-1] + wait - 1)
        mirror.look()
        assert tries == []
        clock.append(clock[-1] + 1)
        mirror.look()
        assert tries == ["a000"]


def test_a_file_that_cannot_be_read_is_tried_at_once_when_it_changes(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(b"broken")
    mirror.look()
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(pickle.dumps({"x": {"_name": "x", "_status": 5}}))
    mirror.look()
    experiment = Experiment.objects.get(expid="a000")
    assert (experiment.problem, experiment.status_counts) == ("", {"COMPLETED": 1})


def test_a_run_shows_though_the_job_list_cannot_be_read(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(b"broken")
    mirror.look()
    mirror.look()
    with running(store.lock_file("a000")):
        mirror.look()
        assert Experiment.objects.get(expid="a000").is_running
    mirror.look()
    assert not Experiment.objects.get(expid="a000").is_running


def test_a_glance_notices_that_the_folder_of_one_without_files_has_gone(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.experiment_folder(EXPIDS[-1])
    shutil.rmtree(folder)
    folder.mkdir()
    mirror = SiteMirror(site.pk)
    mirror.look()
    monkeypatch.setattr(scanner, "RECENT_SECONDS", 0)
    monkeypatch.setattr(mirror.looks, "take_turns", lambda *_, **__: iter(()))
    folder.rmdir()
    wait_for(lambda: mirror.look() or Experiment.objects.get(expid=EXPIDS[-1]).is_absent)
