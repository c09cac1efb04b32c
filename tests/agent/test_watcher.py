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
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.watch import program_check
from autosubmit_portal.agent.watch import watcher as watcher_module
from autosubmit_portal.agent.watch.request import Asked, Place
from autosubmit_portal.agent.watch.watcher import Watcher
from experiments.autosubmit import forms
from experiments.autosubmit import store as store_module
from experiments.autosubmit.liveness import Locks
from experiments.autosubmit.store import NO_OWNER, BrokenStore, Store
from experiments.autosubmit.watched import MOST_ENTRIES
from tests.support import fuzz, stores
from tests.support.lock_holders import lock_held, running
from tests.support.small_stores import COMPLETED, add_experiment, make_store, write_pickle
from tests.support.waiting import wait_for

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


def test_a_run_that_begins_and_ends_is_told(asker: Asker, store: Store) -> None:
    with running(store.lock_file("a007")) as pid:
        alive = asker.ask_all()["a007"]["alive"]
        assert (alive["is_running"], alive["pid"], alive["ignores_interrupt"]) == (True, pid, False)
    assert not asker.ask_all()["a007"]["alive"]["is_running"]


def test_who_locks_without_being_a_run_is_told(asker: Asker, store: Store) -> None:
    with lock_held(store.lock_file("a007"), program="other") as pid:
        alive = asker.ask_all()["a007"]["alive"]
        assert (alive["is_running"], f"process {pid}" in alive["locked_by"]) == (False, True)
    assert asker.ask_all()["a007"]["alive"]["locked_by"] == ""


def test_a_run_that_falls_asleep_and_awakes_is_nothing_new(
    asker: Asker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = cycle([True, False])
    made = forms.make_run_state
    monkeypatch.setattr(watcher_module, "make_run_state", lambda alive: replace(made(alive), is_asleep=next(states)))
    with running(store.lock_file("a007")):
        assert asker.ask_all()
        assert [asker.ask()[1] for _ in range(3)] == [[], [], []]


def test_locks_that_cannot_be_seen_are_told(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "read_locks", lambda: Locks(is_known=False))
    assert asker.ask()[0]["are_locks_known"] is False


def test_a_folder_that_goes_and_comes_back_is_told(asker: Asker, store: Store) -> None:
    away = store.experiment_folder("a007").rename(store.root / "away")
    entry = asker.ask_all()["a007"]
    assert (entry["owner"], {size for _, size, _ in entry["files"]}) == (None, {0})
    away.rename(store.experiment_folder("a007"))
    entry = asker.ask_all()["a007"]
    assert (entry["owner"][0], any(size for _, size, _ in entry["files"])) == (os.getuid(), True)


def test_a_link_in_place_of_a_folder_belongs_to_nobody(asker: Asker, store: Store) -> None:
    folder = store.experiment_folder("a007")
    folder.symlink_to(folder.rename(store.root / "elsewhere"))
    assert asker.ask_all(is_whole=True)["a007"]["owner"] == [NO_OWNER, ""]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_another_owner_is_told(asker: Asker, store: Store) -> None:
    os.chown(store.experiment_folder("a007"), 65534, -1)
    assert asker.ask_all(is_whole=True)["a007"]["owner"] == [65534, pwd.getpwuid(65534).pw_name]


def test_the_directory_of_accounts_is_asked_once_in_a_pass(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def get_name(uid: int) -> str:
        asked.append(uid)
        return "somebody"

    monkeypatch.setattr(watcher_module, "get_name", get_name)
    told = asker.ask_all(is_whole=True)
    assert asked == [os.getuid()]
    assert {entry["owner"][1] for entry in told.values()} == {"somebody"}


# --- The list of experiments, and the table of statuses


def test_a_new_experiment_is_told(asker: Asker, store: Store) -> None:
    add_experiment(store, "b000")
    assert asker.ask_all().keys() == {"b000"}


def test_an_experiment_that_left_the_store_has_no_records(asker: Asker, store: Store) -> None:
    change(store, "DELETE FROM experiment WHERE name = 'a007'")
    assert {expid: entry["records"] for expid, entry in asker.ask_all().items()} == {"a007": []}
    assert len(Asker(asker.watcher).ask_all()) == len(EXPIDS)


def test_an_experiment_that_is_back_in_the_store_is_told(asker: Asker, store: Store) -> None:
    change(store, "UPDATE experiment SET name = 'b007' WHERE name = 'a007'")
    asker.ask_all()
    change(store, "UPDATE experiment SET name = 'a007' WHERE name = 'b007'")
    told = asker.ask_all()
    assert ([record["expid"] for record in told["a007"]["records"]], told["b007"]["records"]) == (["a007"], [])
    assert any(size for _, size, _ in told["a007"]["files"])


def test_an_expid_that_is_given_again_is_told_with_its_new_number(asker: Asker, store: Store) -> None:
    change(store, "UPDATE experiment SET id = 100 WHERE name = 'a007'")
    told = asker.ask_all()
    assert [record["autosubmit_id"] for record in told["a007"]["records"]] == [100]


def test_a_name_that_stands_twice_is_told_with_both_records(asker: Asker, store: Store) -> None:
    change(store, "INSERT INTO experiment (id, name) VALUES (100, 'a007')")
    assert [record["autosubmit_id"] for record in asker.ask_all()["a007"]["records"]] == [8, 100]


def test_of_a_name_that_stands_a_thousand_times_the_newest_are_told(asker: Asker, store: Store) -> None:
    with closing(sqlite3.connect(store.database)) as connection, connection:
        rows = [(number, "a007") for number in range(100, 1100)]
        connection.executemany("INSERT INTO experiment (id, name) VALUES (?, ?)", rows)
    numbers = [record["autosubmit_id"] for record in asker.ask_all()["a007"]["records"]]
    assert numbers == [*range(1080, 1100)]


def test_what_a_pass_sees_is_told_with_the_records_of_its_end(
    asker: Asker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the files of a new experiment would be told as those of one that had its expid before."""
    take = store_module.take_fingerprint

    def replacing(of: Store, expid: str) -> store_module.Fingerprint:
        change(store, "UPDATE experiment SET id = 100 WHERE name = 'a007'")
        return take(of, expid)

    write_pickle(store, "a007", COMPLETED)
    monkeypatch.setattr(watcher_module, "take_fingerprint", replacing)
    _, entries = asker.ask()
    assert [[record["autosubmit_id"] for record in entry["records"]] for entry in entries] == [[100]]


def test_hostile_names_are_left_out(asker: Asker, store: Store) -> None:
    fuzz.add_experiments(store.database, fuzz.NAMES)
    assert asker.ask_all().keys() == {"A000"}


def test_a_store_without_its_database_is_broken_until_it_is_back(asker: Asker, store: Store) -> None:
    away = store.database.rename(store.root / "away.db")
    with pytest.raises(BrokenStore, match="There is no Autosubmit database"):
        asker.ask()
    away.rename(store.database)
    write_pickle(store, "a007", COMPLETED)
    assert asker.ask_all().keys() == {"a007"}


def test_a_status_is_told_when_it_changes(asker: Asker, store: Store) -> None:
    change(store, "CREATE TABLE experiment_status (name, status, modified)")
    change(store, "INSERT INTO experiment_status VALUES ('a007', 'RUNNING', NULL), ('b000', 'RUNNING', NULL)")
    assert {expid: entry["recorded"] for expid, entry in asker.ask_all().items()} == {"a007": ["RUNNING", None]}
    change(store, "DELETE FROM experiment_status")
    assert asker.ask_all()["a007"]["recorded"] == ["", None]


@pytest.mark.parametrize("name", fuzz.STRANGE)
def test_the_last_statuses_stay_while_their_table_cannot_be_read(asker: Asker, store: Store, name: str) -> None:
    change(store, "CREATE TABLE experiment_status (name, status, modified)")
    change(store, "INSERT INTO experiment_status VALUES ('a007', 'RUNNING', NULL)")
    asker.ask_all()
    fuzz.STRANGE[name](store.status_database)
    write_pickle(store, "a007", COMPLETED)
    assert asker.ask_all()["a007"]["recorded"] == ["RUNNING", None]


@pytest.mark.parametrize("name", fuzz.STRANGE)
def test_nothing_in_place_of_a_file_of_an_experiment_holds_a_pass(asker: Asker, store: Store, name: str) -> None:
    files = (*store.list_lone_files("a007"), *store.list_databases("a007"), store.lock_name("a007"))
    for file in map(Path, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        fuzz.STRANGE[name](file)
    write_pickle(store, "a001", COMPLETED)
    assert asker.ask_all(is_whole=True).keys() == {"a001", "a007"}


# --- Many experiments


@pytest.fixture
def many(tmp_path: Path, place: Place, store: Store) -> Iterator[Asker]:
    """One who has seen nothing yet of 1,210 experiments, most of which have no folder."""
    fuzz.add_experiments(store.database, [f"b{number:04d}" for number in range(1200)])
    made = Asker(Watcher(place))
    yield made
    made.watcher.close()


def test_many_are_told_in_pieces(many: Asker) -> None:
    sizes, more = [], True
    while more:
        value, entries = many.ask()
        sizes.append(len(entries))
        more = value["more"]
    assert (max(sizes), sum(sizes)) == (MOST_ENTRIES, 1210)


def test_long_entries_are_told_in_smaller_pieces(many: Asker, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "MOST_BYTES", 10_000)
    change(store, "UPDATE experiment SET description = hex(zeroblob(1000))")
    value, entries = many.ask()
    assert (len(entries), value["more"]) == (4, True)
    assert len(many.ask_all()) == 1206


def test_a_change_is_told_while_others_wait_to_be_told(many: Asker, store: Store) -> None:
    first = {entry["expid"] for entry in many.ask()[1]}
    write_pickle(store, "a007", COMPLETED)
    told = many.ask_all("a007")
    assert tuple(map(tuple, told["a007"]["files"])) == store_module.take_fingerprint(store, "a007")
    assert len(first | told.keys()) == 1210


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A file system on which one look takes as long as a part of a pass may; return the seconds of all of them."""
    take, real, slow = store_module.take_fingerprint, time.monotonic, [0.0]

    def taking(store: Store, expid: str) -> store_module.Fingerprint:
        slow[0] += watcher_module.LONGEST_SECONDS
        return take(store, expid)

    monkeypatch.setattr(watcher_module, "take_fingerprint", taking)
    monkeypatch.setattr(time, "monotonic", lambda: real() + slow[0])
    return slow


@pytest.mark.usefixtures("slow_disk")
def test_a_first_pass_tells_what_it_has_after_a_while(store: Store, place: Place) -> None:
    asker = Asker(Watcher(place))
    for number in range(len(EXPIDS)):
        value, entries = asker.ask()
        is_last = number == len(EXPIDS) - 1
        # What is told on the way has changed lately and is looked at again.
        assert (bool(entries), value["more"], value["is_complete"]) == (True, not is_last, is_last)
    assert value["complete_age"] >= len(EXPIDS) * watcher_module.LONGEST_SECONDS
    asker.watcher.close()


def test_no_pass_takes_longer_than_its_parts_may_however_slow_the_disk_is(
    asker: Asker, store: Store, slow_disk: list[float]
) -> None:
    for expid in EXPIDS:
        write_pickle(store, expid, COMPLETED)
    before = slow_disk[0]
    asker.ask(*EXPIDS)
    assert slow_disk[0] - before < 5 * watcher_module.LONGEST_SECONDS


@pytest.mark.usefixtures("slow_disk")
def test_on_a_slow_disk_those_attended_to_have_their_turns(
    asker: Asker, store: Store, stats: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker.watcher.looks, "take_turns", lambda *_, **__: iter(()))
    for _ in EXPIDS:
        asker.ask(*EXPIDS)
    assert looked_at(stats, store) == {*EXPIDS}


# --- Who wants everything looked at


def test_everything_is_looked_at_for_who_asks_for_it(slowly: Asker, store: Store, stats: Counter[str]) -> None:
    slowly.ask_all(is_whole=True)
    assert looked_at(stats, store) == {*EXPIDS}


@pytest.mark.usefixtures("slow_disk")
def test_on_a_slow_disk_everything_is_looked_at_in_pieces(slowly: Asker, store: Store, stats: Counter[str]) -> None:
    pieces = 0
    more = True
    while more:
        more, pieces = slowly.ask(is_whole=True)[0]["more"], pieces + 1
    assert pieces >= len(EXPIDS)
    assert looked_at(stats, store) == {*EXPIDS}


@pytest.mark.usefixtures("slow_disk")
def test_who_asks_for_everything_does_not_get_the_rest_of_another_one(
    slowly: Asker, store: Store, stats: Counter[str]
) -> None:
    for _ in range(len(EXPIDS) - 1):
        slowly.ask(is_whole=True)
    stats.clear()
    Asker(slowly.watcher).ask_all(is_whole=True)
    assert looked_at(stats, store) == {*EXPIDS}


def test_everything_is_looked_at_once_though_much_is_to_be_told(many: Asker, stats: Counter[str]) -> None:
    many.pause = 1e-6  # so that those who have their turn beside are few
    told = many.ask_all(is_whole=True)
    looks = sum(stats[name] for name in stats if "structure_" in name)
    assert (len(told), looks <= 1210 + 5 * watcher_module.LEAST_LOOKS) == (1210, True)


# --- Those that are left out


def ask_without(asker: Asker, *left_out: str) -> tuple[Message, set[str]]:
    """Ask once while some are left out."""
    asked = Asked(asker.epoch, asker.counter, frozenset(), asker.pause, False)
    value, data = asker.watcher.answer(asked, {*left_out})
    asker.epoch, asker.counter = value["epoch"], value["counter"]
    return value, {json.loads(line)["expid"] for line in data.splitlines()}


def test_who_is_left_out_is_not_looked_at(asker: Asker, store: Store) -> None:
    for expid in ("a001", "a007"):
        write_pickle(store, expid, COMPLETED)
    assert ask_without(asker, "a007")[1] == {"a001"}
    assert ask_without(asker)[1] == {"a007"}


def test_a_round_without_one_that_was_never_seen_is_not_complete(
    store: Store, place: Place, closed: list[Asker]
) -> None:
    asker = begin(closed, place)
    value, told = ask_without(asker, "a007")
    assert (value["more"], value["is_complete"], told) == (False, False, {*EXPIDS} - {"a007"})
    value, told = ask_without(asker)
    assert (value["more"], value["is_complete"], told) == (False, True, {"a007"})


def test_a_watcher_says_what_it_is_about_to_look_at(store: Store, place: Place, closed: list[Asker]) -> None:
    said: list[str] = []
    closed.append(Asker(Watcher(place, said.append)))
    closed[0].ask()
    assert ({*said}, said[-1]) == ({*EXPIDS, ""}, "")


# --- How little it looks at


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the file system is asked about a file."""
    counted: Counter[str] = Counter()

    def count(name: str) -> None:
        real = getattr(os, name)

        def counting(path: Any, **how: Any) -> os.stat_result:
            counted[str(path)] += 1
            found: os.stat_result = real(path, **how)
            return found

        monkeypatch.setattr(os, name, counting)

    count("stat")
    count("lstat")
    return counted


def test_a_pass_over_quiet_ones_takes_few_looks(asker: Asker, store: Store, calls: Counter[str]) -> None:
    """A glance takes one, all files of an experiment without databases seven, and its owner one."""
    calls.clear()
    asker.ask()
    of_experiments = {name: calls[name] for name in calls if f"{store.root}/a0" in name}
    of_store = {name: calls[name] for name in calls if name.startswith((f"{store.root}/as_", str(store.database)))}
    assert sum(of_experiments.values()) <= (1 + 7 + 1) * len(EXPIDS)
    assert sum(of_store.values()) <= 10


def test_a_pass_over_many_quiet_ones_looks_at_their_shares(many: Asker, calls: Counter[str]) -> None:
    many.ask_all()
    many.pause = 1e-6
    calls.clear()
    many.ask()
    looks = watcher_module.LEAST_LOOKS
    assert 0 < sum(calls.values()) <= looks * 2 + looks * 8 + 20


# --- The program


def write_program(place: Place, script: str) -> Place:
    """Have a shell script in place of Autosubmit."""
    program = place.caches.parent / "autosubmit-program"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    return replace(place, program=program)


def ask_of_program(asker: Asker) -> tuple[str, str]:
    """Return the version and the problem of the program."""
    value, _ = asker.ask()
    return value["version"], value["problem"]


@pytest.fixture
def closed() -> Iterator[list[Asker]]:
    """Those who are to be closed at the end."""
    made: list[Asker] = []
    yield made
    for asker in made:
        asker.watcher.close()


def begin(closed: list[Asker], place: Place) -> Asker:
    closed.append(Asker(Watcher(place)))
    return closed[-1]


def test_the_version_of_the_program_is_told_when_it_is_known(store: Store, place: Place, closed: list[Asker]) -> None:
    asker = begin(closed, write_program(place, "echo Autosubmit 4.1.17"))
    assert wait_for(lambda: ask_of_program(asker)[0]) == "4.1.17"


def test_who_has_everything_looked_at_is_told_the_version_with_it(
    store: Store, place: Place, closed: list[Asker]
) -> None:
    asker = begin(closed, write_program(place, "sleep 0.2; echo 4.1.17"))
    asker.ask_all(is_whole=True)
    assert ask_of_program(asker) == ("4.1.17", "")


def test_a_program_that_hangs_holds_no_pass(store: Store, place: Place, closed: list[Asker]) -> None:
    asker = begin(closed, write_program(place, "exec sleep 1000"))
    assert asker.ask_all().keys() == {*EXPIDS}
    assert ask_of_program(asker) == ("", "")


def test_a_program_that_hangs_for_long_is_broken(
    store: Store, place: Place, closed: list[Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_check, "LONGEST_SECONDS", 0.25)
    asker = begin(closed, write_program(place, "exec sleep 1000"))
    problem = wait_for(lambda: ask_of_program(asker)[1])
    assert ("cannot run: " in problem, "timed out after 0.25 seconds" in problem) == (True, True)


@pytest.mark.parametrize(
    ("script", "problem"),
    [("echo It fails >&2; exit 3", "It fails"), ("exit 3", "exit status 3"), ("printf '\\377'; exit 1", "�")],
)
def test_a_broken_program_is_told(store: Store, place: Place, closed: list[Asker], script: str, problem: str) -> None:
    asker = begin(closed, write_program(place, script))
    assert f"is broken: {problem}. Repair" in wait_for(lambda: ask_of_program(asker)[1])


def test_a_missing_program_is_told_at_once_and_asked_when_it_is_back(
    store: Store, place: Place, closed: list[Asker]
) -> None:
    there = write_program(place, "echo 4.1.17")
    away = there.program.rename(there.program.with_name("away"))
    asker = begin(closed, there)
    assert "is missing: No such file" in ask_of_program(asker)[1]
    away.rename(there.program)
    assert wait_for(lambda: ask_of_program(asker), is_enough=lambda told: bool(told[0])) == ("4.1.17", "")


def test_a_program_that_changes_is_asked_again(store: Store, place: Place, closed: list[Asker]) -> None:
    asker = begin(closed, write_program(place, "echo 4.1.17"))
    wait_for(lambda: ask_of_program(asker)[0])
    there = write_program(place, "echo 4.2.0")
    os.utime(there.program, (1_000, 1_000))
    assert wait_for(lambda: ask_of_program(asker)[0], is_enough=lambda version: version == "4.2.0")


def test_a_broken_program_is_asked_again_after_a_minute(
    store: Store, place: Place, closed: list[Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = begin(closed, write_program(place, "exit 3"))
    wait_for(lambda: ask_of_program(asker)[1])
    os.utime(write_program(place, "echo 4.1.17").program, (1_000, 1_000))
    asker.ask_all(is_whole=True)
    assert ask_of_program(asker)[0] == ""
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + program_check.CHECK_SECONDS)
    assert wait_for(lambda: ask_of_program(asker), is_enough=lambda told: bool(told[0])) == ("4.1.17", "")
