"""A store is watched through a gateway by who may only read."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.caller import Refused, Unanswered
from experiments.autosubmit.store import Store
from experiments.autosubmit.watched import Entry, Watched, understand_watched
from tests.agent.agents import write_site_file
from tests.gateway.gateways import RunningGateway, gateway, make_local
from tests.support import fuzz
from tests.support.lock_holders import running
from tests.support.small_stores import make_store
from tests.support.waiting import wait_for


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "home").mkdir()
    return make_store(tmp_path / "home", ["a000", "a001"])


@pytest.fixture
def here(tmp_path: Path, store: Store) -> Iterator[RunningGateway]:
    host = make_local(tmp_path / "site")
    write_site_file(tmp_path / "site", home=str(tmp_path / "home"))
    with gateway(tmp_path, {"here": host}) as made:
        made.wait_for_host()
        yield made


def watch(here: RunningGateway, epoch: str = "", counter: int = 0) -> Watched:
    asked = {"epoch": epoch, "counter": counter, "attend": [], "pause_seconds": 0.25, "is_whole": False}
    return understand_watched(*caller.ask(here.reading, "here", "watch", asked, 60))


def watch_all(here: RunningGateway) -> dict[str, Entry]:
    """Return what is told until there is no more."""
    seen = watch(here)
    told = dict(seen.entries)
    while seen.more:
        seen = watch(here, seen.epoch, seen.counter)
        told |= seen.entries
    return told


def test_a_run_that_begins_is_told_through_the_gateway(here: RunningGateway, store: Store) -> None:
    seen = watch(here)
    assert seen.entries.keys() == {"a000", "a001"}
    with running(store.lock_file("a001")) as pid:
        told = wait_for(lambda: watch(here, seen.epoch, seen.counter).entries)
        assert {expid: entry.alive.pid for expid, entry in told.items()} == {"a001": pid}


def test_more_than_there_is_credit_for_comes_through_the_gateway(here: RunningGateway, store: Store) -> None:
    fuzz.add_experiments(store.database, [f"b{number:04d}{'x' * 40}" for number in range(1200)])
    assert len(watch_all(here)) == 1202


def test_an_experiment_of_which_the_store_says_very_much_is_told(here: RunningGateway, store: Store) -> None:
    with closing(sqlite3.connect(store.database)) as connection, connection:
        rows = [(number, "a000", "\U0001f600" * 25_000) for number in range(100, 200)]
        connection.executemany("INSERT INTO experiment (id, name, description) VALUES (?, ?, ?)", rows)
    assert watch_all(here)["a000"].records[-1].description == "\U0001f600" * 20_000


def test_a_new_agent_tells_everything_again(here: RunningGateway) -> None:
    seen = watch(here)
    os.kill(here.find_agent(), signal.SIGKILL)

    def watch_if_there() -> Watched | None:
        with suppress(Refused, Unanswered):
            return watch(here, seen.epoch, seen.counter)
        return None

    again = wait_for(watch_if_there, is_enough=lambda told: told is not None and told.epoch != seen.epoch)
    assert again
    assert again.entries.keys() == seen.entries.keys()
