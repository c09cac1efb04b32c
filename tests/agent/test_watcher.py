"""Whom a watcher looks at, how often, how little where nothing has changed, and what it tells."""

import json
import os
import pwd
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.watch import watcher as watcher_module
from autosubmit_portal.agent.watch.request import Asked, Place
from autosubmit_portal.agent.watch.watcher import Watcher
from experiments.autosubmit import store as store_module
from experiments.autosubmit.liveness import Locks
from experiments.autosubmit.store import Store
from tests.support import stores
from tests.support.lock_holders import lock_held, running
from tests.support.small_stores import COMPLETED, make_store, write_pickle

EXPIDS = [f"a{number:03d}" for number in range(10)]


@dataclass
class Asker:
    """Remembers what it has seen, as a mirror does."""

    watcher: Watcher
    pause: float = 1.0
    epoch: str = ""
    counter: int = 0

    def ask(self, *attend: str, is_whole: bool = False) -> tuple[Message, list[Message]]:
        """Ask once; return the answer and its entries."""
        asked = Asked(self.epoch, self.counter, frozenset(attend), self.pause, is_whole)
        value, data = self.watcher.answer(asked)
        self.epoch, self.counter = value["epoch"], value["counter"]
        return value, [json.loads(line) for line in data.splitlines()]

    def ask_all(self, *attend: str, is_whole: bool = False) -> dict[str, Message]:
        """Ask until there is no more; return the newest entries by expid."""
        told: dict[str, Message] = {}
        more = True
        while more:
            value, entries = self.ask(*attend, is_whole=is_whole)
            told |= {entry["expid"]: entry for entry in entries}
            more = value["more"]
        return told


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with ten quiet experiments."""
    return make_store(tmp_path, EXPIDS)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where it is. Its program only tells a version, which Python has too."""
    return Place(tmp_path, None, Path(sys.executable), tmp_path / "caches")


@pytest.fixture
def asker(store: Store, place: Place) -> Iterator[Asker]:
    """One who has seen everything."""
    made = Asker(Watcher(place))
    made.ask_all()
    yield made
    made.watcher.close()


@pytest.fixture
def slowly(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> Asker:
    """The same, on a file system so slow that time allows only one look at a time."""
    for name in ("GLANCE_SHARE", "LOOK_SHARE"):
        monkeypatch.setattr(watcher_module, name, 0)
    for name in ("GLANCE_TURN_SECONDS", "LOOK_TURN_SECONDS"):
        monkeypatch.setattr(watcher_module, name, len(EXPIDS) * asker.pause)
    monkeypatch.setattr(watcher_module, "LEAST_LOOKS", 1)
    return asker


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


def change(store: Store, statement: str, *values: object) -> None:
    """Change `autosubmit.db`."""
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute(statement, values)


# --- Whom it looks at


def test_quiet_experiments_are_looked_at_in_turns(slowly: Asker, store: Store, stats: Counter[str]) -> None:
    slowly.ask()
    first = looked_at(stats, store)
    slowly.ask()
    assert (len(first), len(looked_at(stats, store))) == (1, 2)


def test_every_quiet_experiment_has_its_turn(slowly: Asker, store: Store, stats: Counter[str]) -> None:
    for _ in EXPIDS:
        slowly.ask()
    assert looked_at(stats, store) == {*EXPIDS}


def test_a_running_experiment_is_looked_at_in_every_pass(slowly: Asker, store: Store, stats: Counter[str]) -> None:
    with running(store.lock_file("a007")):
        for _ in EXPIDS:
            slowly.ask()
        stats.clear()
        slowly.ask()
        assert "a007" in looked_at(stats, store)


def test_an_experiment_that_the_portal_attends_to_is_looked_at_in_every_pass(
    slowly: Asker, store: Store, stats: Counter[str]
) -> None:
    slowly.ask("a007")
    stats.clear()
    slowly.ask("a007", "b000", "../x")
    assert "a007" in looked_at(stats, store)


def test_an_experiment_that_changed_lately_is_looked_at_in_every_pass(
    slowly: Asker, store: Store, stats: Counter[str]
) -> None:
    write_pickle(store, "a007", COMPLETED)
    for _ in EXPIDS:
        slowly.ask()
    stats.clear()
    slowly.ask()
    assert "a007" in looked_at(stats, store)


def test_an_experiment_that_changed_long_ago_is_quiet_again(
    slowly: Asker, store: Store, stats: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pickle(store, "a007", COMPLETED)
    for _ in EXPIDS:
        slowly.ask()
    later = time.monotonic() + watcher_module.RECENT_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    stats.clear()
    slowly.ask()
    assert len(looked_at(stats, store)) == 1


def test_an_experiment_whose_lock_a_command_takes_is_looked_at_at_once(
    slowly: Asker, store: Store, stats: Counter[str]
) -> None:
    with lock_held(store.lock_file("a007"), "create", "a007") as pid:
        slowly.ask()
        _, entries = slowly.ask()
        assert "a007" in looked_at(stats, store)
    told = slowly.ask_all()
    assert told["a007"]["alive"]["evidence"] == "nobody holds the lock", (entries, pid)


def test_a_changed_job_list_of_a_quiet_experiment_is_seen_within_a_pass_where_time_allows(
    asker: Asker, store: Store
) -> None:
    write_pickle(store, "a009", COMPLETED)
    _, entries = asker.ask()
    assert [entry["expid"] for entry in entries] == ["a009"]


def test_a_glance_looks_at_one_file_only(
    slowly: Asker, store: Store, stats: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "GLANCE_TURN_SECONDS", slowly.pause)
    slowly.ask()
    glanced = {name for name in stats if f"{store.root}/a0" in name} - {
        name
        for expid in looked_at(stats, store)
        for name in (*store.list_lone_files(expid), *store.list_databases(expid))
    }
    assert len(glanced) == len(EXPIDS) - 1
    assert all(name.endswith(".pkl") for name in glanced)


def test_the_lock_file_is_not_looked_at_while_nothing_is_locked(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "read_locks", Locks)
    asked: list[str] = []
    stat = os.stat

    def asking(name: Any, **how: Any) -> os.stat_result:
        asked.append(str(name))
        return stat(name, **how)

    monkeypatch.setattr(os, "stat", asking)
    asker.ask()
    assert asked
    assert not [name for name in asked if name.endswith(".lock")]


def test_a_glance_notices_that_the_folder_of_one_without_files_has_gone_and_is_back(
    asker: Asker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.experiment_folder("a007")
    shutil.rmtree(folder)
    folder.mkdir()
    asker.ask_all(is_whole=True)
    monkeypatch.setattr(watcher_module, "RECENT_SECONDS", 0)
    monkeypatch.setattr(asker.watcher.looks, "take_turns", lambda *_, **__: iter(()))
    folder.rmdir()
    assert asker.ask_all()["a007"]["owner"] is None
    folder.mkdir()
    assert asker.ask_all()["a007"]["owner"][0] == os.getuid()


# --- What it tells


def test_nothing_is_told_while_nothing_changes(asker: Asker) -> None:
    value, entries = asker.ask()
    assert (entries, value["more"], value["counter"]) == ([], False, len(EXPIDS))


def test_who_comes_for_the_first_time_is_told_everything(asker: Asker) -> None:
    told = Asker(asker.watcher).ask_all()
    assert told.keys() == {*EXPIDS}


def test_an_entry_has_all_that_is_seen(asker: Asker, store: Store) -> None:
    change(store, "INSERT INTO details VALUES (8, 'ana', '2026-01-01T10:00:00+00:00', 'm', 'b', 'MN5')")
    stores.make_database(
        store.status_database,
        "CREATE TABLE experiment_status (name, status, modified);",
        [("INSERT INTO experiment_status VALUES (?, ?, ?)", ("a007", "running", "2026-01-02T10:00:00+00:00"))],
    )
    entry = asker.ask_all()["a007"]
    assert [record["autosubmit_id"] for record in entry["records"]] == [8]
    assert (
        entry["records"][0] | {"autosubmit_id": 8, "expid": "a007", "recorded_owner": "ana", "hpc": "MN5"}
        == (entry["records"][0])
    )
    assert entry["recorded"] == ["RUNNING", "2026-01-02T10:00:00+00:00"]
    assert entry["owner"] == [os.getuid(), pwd.getpwuid(os.getuid()).pw_name]
    assert entry["alive"]["evidence"] == "there is no lock file: it was never run"
    assert tuple(map(tuple, entry["files"])) == store_module.take_fingerprint(store, "a007")


def test_two_who_have_seen_different_things_are_told_what_each_has_not(asker: Asker, store: Store) -> None:
    other = Asker(asker.watcher, epoch=asker.epoch, counter=asker.counter)
    write_pickle(store, "a001", COMPLETED)
    assert asker.ask_all().keys() == {"a001"}
    write_pickle(store, "a002", COMPLETED)
    assert asker.ask_all().keys() == {"a002"}
    assert other.ask_all().keys() == {"a001", "a002"}


def test_an_experiment_that_changes_twice_is_told_once(asker: Asker, store: Store) -> None:
    other = Asker(asker.watcher, epoch=asker.epoch, counter=asker.counter)
    for status in (COMPLETED, 0):
        write_pickle(store, "a001", status)
        asker.ask_all()
    _, entries = other.ask()
    assert len(entries) == 1


@pytest.mark.parametrize(("epoch", "counter"), [("", 0), ("", 7), ("of another watcher", 20)])
def test_who_remembers_another_watcher_is_told_everything(asker: Asker, epoch: str, counter: int) -> None:
    assert Asker(asker.watcher, epoch=epoch, counter=counter).ask_all().keys() == {*EXPIDS}


def test_a_new_watcher_has_another_epoch(asker: Asker, place: Place) -> None:
    other = Asker(Watcher(place), epoch=asker.epoch, counter=asker.counter)
    assert other.ask_all().keys() == {*EXPIDS}
    assert other.epoch != asker.epoch
    other.watcher.close()
