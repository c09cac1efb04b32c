"""Rounds over many names, bit by bit."""

import time
from itertools import count

import pytest

from autosubmit_portal.agent.watch.round_robin import RoundRobin

NAMES = [f"a{number:03d}" for number in range(10)]


def test_a_turn_gives_out_all_that_the_time_allows() -> None:
    assert [*RoundRobin().take_turns(NAMES, seconds=60)] == NAMES


def test_a_turn_without_time_gives_out_its_share() -> None:
    assert [*RoundRobin().take_turns(NAMES, seconds=0, share=0.25)] == NAMES[:3]


def test_a_turn_without_time_gives_out_the_least_that_was_asked_for() -> None:
    assert [*RoundRobin().take_turns(NAMES, seconds=0, least=4)] == NAMES[:4]


@pytest.mark.parametrize("how", [{"seconds": 60}, {"seconds": 0, "share": 1.0}, {"seconds": 0, "least": 10}])
def test_no_turn_is_longer_than_it_may_be(how: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    given = [*RoundRobin().take_turns(NAMES, longest=4, **how)]  # type: ignore[arg-type]  # one is a whole number
    assert given == NAMES[:3]


def test_turns_go_on_where_the_last_one_ended() -> None:
    turns = RoundRobin()
    given = [name for _ in range(4) for name in turns.take_turns(NAMES, seconds=0, share=0.3)]
    assert given == NAMES


def test_a_round_is_complete_since_it_began() -> None:
    turns = RoundRobin()
    [*turns.take_turns(NAMES, seconds=0, share=0.5)]
    assert turns.complete_since is None
    [*turns.take_turns(NAMES, seconds=0, share=0.5)]
    assert turns.complete_since is not None
