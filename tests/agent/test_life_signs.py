"""What an agent tells of the process of a run: its state, since when it lives, and when its log was written."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosubmit_portal.agent.host import read_process_fields
from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.watch.journal import Journal
from autosubmit_portal.agent.watch.life_signs import LifeSigns
from experiments.autosubmit.forms import RunState
from experiments.autosubmit.life import NO_LIFE, Life, tell_life, understand_life
from experiments.autosubmit.store import Recorded, Store
from experiments.autosubmit.watched import Entry
from tests.support.lock_holders import lock_held, running
from tests.support.small_stores import make_store
from tests.support.waiting import wait_for

LOGGED = 1_795_986_738.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, ["a000"])


@pytest.fixture
def pid(store: Store) -> Iterator[int]:
    """A run of a000 that lives, and goes on if a test stops it."""
    with running(store.lock_file("a000")) as number:
        yield number
        os.kill(number, signal.SIGCONT)


def look(store: Store, pid: int | None, signs: LifeSigns | None = None) -> Life:
    return (signs or LifeSigns()).look("a000", store, RunState(pid is not None, pid, ""))


def write_log(store: Store, name: str, at: float) -> Path:
    log = store.experiment_folder("a000") / "tmp/ASLOGS" / name
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    os.utime(log, (at, at))
    return log


def test_the_state_of_a_process_is_told(store: Store, pid: int) -> None:
    wait_for(lambda: look(store, pid).process_state == "S")
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: look(store, pid).process_state == "T")


def test_a_process_that_computes_is_told_like_one_that_sleeps(store: Store) -> None:
    fields = ["R", *read_process_fields(os.getpid())[1:]]
    assert LifeSigns(lambda _: fields).look("a000", store, RunState(True, os.getpid(), "")).process_state == "S"


def test_nothing_is_told_without_a_process(store: Store) -> None:
    assert look(store, None) == NO_LIFE


def test_it_is_told_when_the_process_began(store: Store, pid: int) -> None:
    began = look(store, pid).started_at
    assert began is not None
    assert abs(time.time() - began) < 300


def test_the_newest_log_of_the_run_is_the_sign_of_life(store: Store, pid: int) -> None:
    later = time.time() + 60
    write_log(store, "20261129_211250_run.log", later - 30)
    write_log(store, "20261129_211350_run.log", later)
    write_log(store, "20261129_211450_setstatus.log", later + 30)
    assert look(store, pid).logged_at == pytest.approx(later)


def test_a_log_of_an_earlier_run_is_no_sign_of_life(store: Store, pid: int) -> None:
    write_log(store, "20261129_211250_run.log", LOGGED - 3600 * 24 * 365)
    assert look(store, pid).logged_at is None


def test_a_log_that_comes_later_is_found(store: Store, pid: int) -> None:
    signs = LifeSigns()
    assert look(store, pid, signs).logged_at is None
    later = time.time() + 60
    write_log(store, "20261129_211250_run.log", later)
    assert look(store, pid, signs).logged_at == pytest.approx(later)


@pytest.mark.parametrize("option", ["-lf", "--logfile=WARNING", "--start_time", "-sa"])
def test_a_run_that_was_told_to_wait_or_to_log_little_may_be_quiet(store: Store, option: str) -> None:
    with lock_held(store.lock_file("a000"), option, "run", "a000") as pid:
        assert look(store, pid).may_be_quiet


def test_an_ordinary_run_may_not_be_quiet(store: Store, pid: int) -> None:
    assert not look(store, pid).may_be_quiet


def test_what_is_told_is_understood() -> None:
    life = Life("T", LOGGED, LOGGED, True)
    assert understand_life(tell_life(life)) == life


def test_an_agent_from_before_says_nothing() -> None:
    assert understand_life(None) == NO_LIFE


@pytest.mark.parametrize(
    "change", [{"process_state": "X"}, {"logged_at": -1}, {"logged_at": True}, {"started_at": "1"}, {"more": 1}]
)
def test_what_no_agent_tells_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        understand_life((tell_life(Life("S")) or {}) | change)


def is_news(before: Life, after: Life) -> bool:
    journal = Journal()
    for life in (before, after):
        journal.note("a000", Entry((), Recorded("", None), None, RunState(True, 7, ""), (), life))
    return journal.counter == 2


def test_signs_of_life_are_told_now_and_then() -> None:
    assert not is_news(Life("S", LOGGED, LOGGED), Life("S", LOGGED, LOGGED + 5))
    assert is_news(Life("S", LOGGED, LOGGED), Life("S", LOGGED, LOGGED + 31))


def test_another_state_is_told_at_once() -> None:
    assert is_news(Life("S", LOGGED, LOGGED), Life("T", LOGGED, LOGGED))
