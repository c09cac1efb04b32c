"""Rounds over many names, bit by bit."""

from experiments.mirror.round_robin import RoundRobin

NAMES = [f"a{number:03d}" for number in range(10)]


def test_a_turn_gives_out_all_that_the_time_allows() -> None:
    assert [*RoundRobin().take_turns(NAMES, seconds=60, share=0, least=0)] == NAMES


def test_a_turn_without_time_gives_out_its_share() -> None:
    assert [*RoundRobin().take_turns(NAMES, seconds=0, share=0.25, least=0)] == NAMES[:3]


def test_a_turn_without_time_gives_out_the_least_that_was_asked_for() -> None:
    assert [*RoundRobin().take_turns(NAMES, seconds=0, share=0, least=4)] == NAMES[:4]


def test_turns_go_on_where_the_last_one_ended() -> None:
    turns = RoundRobin()
    given = [name for _ in range(4) for name in turns.take_turns(NAMES, seconds=0, share=0.3, least=0)]
    assert given == NAMES


def test_a_round_is_complete_since_it_began() -> None:
    turns = RoundRobin()
    [*turns.take_turns(NAMES, seconds=0, share=0.5, least=0)]
    assert turns.complete_since is None
    [*turns.take_turns(NAMES, seconds=0, share=0.5, least=0)]
    assert turns.complete_since is not None
