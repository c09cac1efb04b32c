"""In which order experiments that have changed are read."""

import time

import pytest

from experiments.backlog import Backlog

LARGE, SMALL = 6_000_000, 6_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock: its last entry is the time."""
    times = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: times[-1])
    return times


def test_the_smallest_is_taken_first(clock: list[float]) -> None:
    backlog = Backlog()
    for expid, size in (("a000", LARGE), ("a001", SMALL), ("a002", LARGE // 2)):
        backlog.add(expid, size)
    assert [backlog.take() for _ in range(4)] == ["a001", "a002", "a000", None]


def test_a_small_one_is_taken_where_there_is_place_for_small_ones_only(clock: list[float]) -> None:
    backlog = Backlog()
    backlog.add("a000", LARGE)
    clock.append(1010.0)
    backlog.add("a001", SMALL)
    assert [backlog.take(SMALL), backlog.take(SMALL), backlog.take()] == ["a001", None, "a000"]


def test_a_large_one_is_not_passed_for_ever(clock: list[float]) -> None:
    backlog = Backlog()
    backlog.add("a000", LARGE)
    clock.append(1010.0)
    backlog.add("a001", SMALL)
    assert backlog.take() == "a000"


def test_one_that_changes_again_while_it_waits_keeps_its_place(clock: list[float]) -> None:
    backlog = Backlog()
    backlog.add("a000", LARGE)
    clock.append(1003.0)
    backlog.add("a000", LARGE)
    backlog.add("a001", LARGE)
    assert backlog.take() == "a000"
    assert len(backlog) == 1
