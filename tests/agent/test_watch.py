"""The request `watch` as a gateway asks it: a child process of the agent looks at the store, and holds nobody up."""

import os
import re
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autosubmit_portal.agent.protocol import Data, Failure
from autosubmit_portal.agent.readers.limits import USUAL_MEMORY
from experiments.autosubmit.store import Store
from experiments.autosubmit.watched import Watched, understand_watched
from tests.agent.agents import Channel, agent, find_pythons, write_site_file
from tests.support import fuzz
from tests.support.small_stores import COMPLETED, make_store, write_pickle
from tests.support.waiting import wait_for

EXPIDS = ["a000", "a001", "a002"]
NOTHING_SEEN = {"epoch": "", "counter": 0, "attend": [], "pause_seconds": 1.0, "is_whole": False}

OTHER_PORTAL = "0f7b3a5e-5d0c-4c58-9f0e-3b6f6a3c1d22"
FUZZED: list[Any] = [
    *("", "x", "a000", "é" * 100, "../a000", 0, 1, -1, 2**40, 0.0, 0.5, 1e300, True, False, None),
    *([], ["a000"], ["", "\n", "../x"], [[]], [None], {}, {"a": []}),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "home").mkdir()
    return make_store(tmp_path / "home", EXPIDS)


@pytest.fixture
def channel(tmp_path: Path, store: Store) -> Iterator[Channel]:
    with agent(tmp_path, home=str(tmp_path / "home")) as made:
        yield made


def watch(channel: Channel, **changes: Any) -> Any:
    """Return what is told, or the failure."""
    channel.events.clear()
    answer = channel.ask("watch", **(NOTHING_SEEN | changes))
    if isinstance(answer, Failure):
        return answer
    return understand_watched(answer, b"".join(event.data for event in channel.events if isinstance(event, Data)))


def watch_raw(channel: Channel, arguments: dict[str, Any]) -> str:
    """Return whether something was told, or the code of the failure."""
    answer = channel.ask("watch", **arguments)
    return answer.code if isinstance(answer, Failure) else "told"


def go_on(channel: Channel, seen: Watched) -> Any:
    """Ask for what has changed since."""
    return watch(channel, epoch=seen.epoch, counter=seen.counter)


def find_children(channel: Channel) -> list[int]:
    """Return the processes that the agent has had forked."""
    return [child for server in list_children(channel.process.pid) for child in list_children(server)]


def list_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)
def test_a_store_is_watched_on_every_python(tmp_path: Path, store: Store, python: str) -> None:
    with agent(tmp_path, python, home=str(tmp_path / "home")) as channel:
        seen = watch(channel)
        assert (seen.entries.keys(), seen.more, seen.is_complete) == ({*EXPIDS}, False, True)
        write_pickle(store, "a001", COMPLETED)
        assert wait_for(lambda: go_on(channel, seen).entries).keys() == {"a001"}


def test_what_a_hostile_store_says_is_told_as_the_form_has_it(channel: Channel, store: Store) -> None:
    """Secrets are masked, and what is too long is cut; the portal refuses everything else."""
    long, secret = "x" * 100_000, "password=hidden1234"
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute("UPDATE experiment SET description = ?, autosubmit_version = ?", (long, f"a\0{secret}"))
    fuzz.add_experiments(store.database, fuzz.NAMES)
    seen = watch(channel)
    assert seen.entries.keys() == {*EXPIDS, "A000"}
    (record,) = seen.entries["a000"].records
    assert (len(record.description), "hidden1234" in record.version) == (20_000, False)


def test_more_than_an_answer_takes_is_told_in_pieces(channel: Channel, store: Store) -> None:
    fuzz.add_experiments(store.database, [f"b{number:04d}" for number in range(1200)])
    seen = watch(channel)
    told, answers = set(seen.entries), 1
    while seen.more:
        seen = go_on(channel, seen)
        told |= seen.entries.keys()
        answers += 1
    assert (len(told), answers) == (1203, 3)


def test_twenty_thousand_experiments_take_little(channel: Channel, store: Store) -> None:
    fuzz.add_experiments(store.database, [f"b{number:05d}" for number in range(20_000)])
    seen = watch(channel)
    told = set(seen.entries)
    while seen.more:
        seen = go_on(channel, seen)
        told |= seen.entries.keys()
    assert (len(told), seen.is_complete) == (20_003, True)
    assert go_on(channel, seen).entries == {}
    assert sum(len(event.data) for event in channel.events if isinstance(event, Data)) == 0
    (child,) = find_children(channel)
    assert read_memory(child) < 100


def read_memory(pid: int) -> float:
    """Return the megabytes that a process holds, with its share of those that others hold too."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", told, re.MULTILINE)[1]) / 1024  # type: ignore[index]  # Linux always says


def test_two_portals_see_the_same_store_with_agents_of_their_own(
    channel: Channel, tmp_path: Path, store: Store
) -> None:
    (tmp_path / "second").mkdir()
    with agent(tmp_path / "second", portal=OTHER_PORTAL, home=str(tmp_path / "home")) as second:
        seen = watch(channel), watch(second)
        assert seen[0].epoch != seen[1].epoch
        write_pickle(store, "a001", COMPLETED)
        assert wait_for(lambda: go_on(channel, seen[0]).entries).keys() == {"a001"}
        assert wait_for(lambda: go_on(second, seen[1]).entries).keys() == {"a001"}
        assert watch(channel, epoch=seen[1].epoch, counter=seen[1].counter).entries.keys() == {*EXPIDS}


def test_another_store_in_the_file_of_the_site_holds_at_once(channel: Channel, tmp_path: Path) -> None:
    seen = watch(channel)
    (tmp_path / "other").mkdir()
    make_store(tmp_path / "other", ["b000"])
    write_site_file(tmp_path, home=str(tmp_path / "other"))
    assert go_on(channel, seen).entries.keys() == {"b000"}


@pytest.mark.parametrize("name", fuzz.STRANGE)
def test_whatever_is_in_place_of_the_database_is_told_as_a_broken_store(
    channel: Channel, store: Store, name: str
) -> None:
    store.database.unlink()
    fuzz.STRANGE[name](store.database)
    assert watch(channel).code == "broken"


def test_a_database_that_is_a_link_is_read(channel: Channel, store: Store, tmp_path: Path) -> None:
    store.database.symlink_to(store.database.rename(tmp_path / "elsewhere.db"))
    assert watch(channel).entries.keys() == {*EXPIDS}


def test_a_site_without_a_home_is_not_watched(tmp_path: Path) -> None:
    with agent(tmp_path) as channel:
        assert watch(channel).code == "broken"


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": "x" * 101},
        {"epoch": 1},
        {"counter": -1},
        {"counter": 1.0},
        {"attend": "a000"},
        {"attend": [1]},
        {"attend": ["a000"] * 801},
        {"attend": ["x" * 50_000]},
        {"pause_seconds": -1},
        {"pause_seconds": 3_601},
        {"pause_seconds": True},
        {"pause_seconds": "1"},
        {"is_whole": 1},
        {"home": "/etc"},
        {"place": {}},
    ],
)
def test_what_is_no_request_is_refused(channel: Channel, changes: dict[str, Any]) -> None:
    assert watch(channel, **changes).code == "invalid"


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_is_asked_is_answered_or_refused(channel: Channel, seed: int) -> None:
    random = Random(seed)
    for _ in range(200):
        asked = {name: random.choice(FUZZED) for name in NOTHING_SEEN if random.random() < 0.9}
        answer = watch_raw(channel, {**NOTHING_SEEN, **asked})
        assert answer in {"told", "invalid"}, asked
    assert watch(channel).entries.keys() == {*EXPIDS}


# --- Its child


def test_the_agent_itself_opens_nothing_of_the_store(channel: Channel) -> None:
    watch(channel)
    (child,) = find_children(channel)
    has_sqlite = ["_sqlite3" in Path(f"/proc/{pid}/maps").read_text() for pid in (channel.process.pid, child)]
    assert has_sqlite == [False, True]


def test_a_child_keeps_nothing_of_the_store_open_and_leaves_no_copy(
    channel: Channel, store: Store, tmp_path: Path
) -> None:
    watch(channel)
    (child,) = find_children(channel)
    opened = [os.readlink(file) for file in Path(f"/proc/{child}/fd").iterdir()]
    assert not [name for name in opened if name.startswith(str(store.root))]
    assert not list((tmp_path / "spool/readers").iterdir())


def test_a_child_has_no_environment_and_little_memory(channel: Channel) -> None:
    watch(channel)
    (child,) = find_children(channel)
    assert Path(f"/proc/{child}/environ").read_text() == ""
    soft, _ = resource.prlimit(child, resource.RLIMIT_AS)
    assert soft == USUAL_MEMORY


def test_the_program_has_the_memory_that_it_needs(tmp_path: Path, store: Store) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\nsleep 0.1; echo limit-is-$(ulimit -S -v)")
    (tmp_path / "program").chmod(0o755)
    with agent(tmp_path, home=str(tmp_path / "home"), program=str(tmp_path / "program")) as channel:
        version = wait_for(lambda: watch(channel).version)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    assert version == f"limit-is-{'unlimited' if hard == resource.RLIM_INFINITY else hard // 1024}"


def test_a_store_that_hangs_does_not_keep_others_waiting(channel: Channel) -> None:
    watch(channel)
    (child,) = find_children(channel)
    os.kill(child, signal.SIGSTOP)
    asked = channel.client.request("watch", NOTHING_SEEN, time.monotonic())
    assert channel.ask("read", expid="a000", what="logs") == {}
    assert not [event for event in channel.events if getattr(event, "channel", 0) == asked]
    failure = channel.wait_for(Failure, channel=asked)
    assert (failure.code, "does not answer within 10 s" in failure.reason) == ("unanswered", True)


def test_a_child_that_was_killed_is_told_and_another_one_begins_anew(channel: Channel) -> None:
    seen = watch(channel)
    (child,) = find_children(channel)
    os.kill(child, signal.SIGKILL)
    failure = go_on(channel, seen)
    assert "has ended" in failure.reason
    assert failure.code in {"broken", "busy"}  # the agent may have seen its end before it was asked
    again = wait_for(lambda: go_on(channel, seen), is_enough=lambda answer: isinstance(answer, Watched))
    assert (again.entries.keys(), again.epoch == seen.epoch) == ({*EXPIDS}, False)


def test_nothing_is_left_of_a_child_when_its_agent_ends(channel: Channel, tmp_path: Path) -> None:
    watch(channel)
    (child,) = find_children(channel)
    assert channel.process.stdin
    channel.process.stdin.close()
    channel.process.wait(60)
    wait_for(lambda: not Path(f"/proc/{child}/exe").exists())
    assert not list((tmp_path / "spool/readers").iterdir())
