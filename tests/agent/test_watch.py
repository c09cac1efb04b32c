"""The request `watch` as a gateway asks it: a child process of the agent looks at the store, and holds nobody up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.protocol import Data, Failure
from experiments.autosubmit.store import Store
from experiments.autosubmit.watched import Watched, understand_watched
from tests.agent.agents import Channel, agent, find_pythons
from tests.support.small_stores import COMPLETED, make_store, write_pickle
from tests.support.waiting import wait_for

EXPIDS = ["a000", "a001", "a002"]
NOTHING_SEEN = {"epoch": "", "counter": 0, "attend": [], "pause_seconds": 1.0, "is_whole": False}


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


def go_on(channel: Channel, seen: Watched) -> Any:
    """Ask for what has changed since."""
    return watch(channel, epoch=seen.epoch, counter=seen.counter)


def find_children(channel: Channel) -> list[int]:
    pid = channel.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)
def test_a_store_is_watched_on_every_python(tmp_path: Path, store: Store, python: str) -> None:
    with agent(tmp_path, python, home=str(tmp_path / "home")) as channel:
        seen = watch(channel)
        assert (seen.entries.keys(), seen.more, seen.is_complete) == ({*EXPIDS}, False, True)
        write_pickle(store, "a001", COMPLETED)
        assert wait_for(lambda: go_on(channel, seen).entries).keys() == {"a001"}
