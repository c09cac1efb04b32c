"""The section about many lists that change."""

from tests.tools.bench.changing import Changing, section
from tests.tools.bench.fleet import FirstPass


def text_of(seconds: list[float], small: float, megabytes: float = 3_000.0) -> str:
    measured = {"SQLite": Changing(25, seconds, [small] * 20, 500.0)}
    return section(measured, {"SQLite": FirstPass(1, 500_000, 60.0, megabytes)}, "Now.").text


def test_what_is_seen_soon_enough_is_met() -> None:
    text = text_of([0.9] * 18 + [3.0] * 2, 0.8)
    assert "| large list, half of the changes, SQLite | ≤ 1 s | 0.90 s | met |" in text
    assert "| SQLite | 25 | 20 | 0.90 | 3.00 | 3.00 | 20 | 0.80 | 0.80 | 500 |" in text
    assert "missed" not in text


def test_a_small_list_that_waits_for_large_ones_is_missed() -> None:
    assert "| small list, 19 of 20 changes, SQLite | ≤ 1 s | 20.0 s | **missed** |" in text_of(
        [0.9] * 20, 20.0
    )


def test_more_memory_than_is_told_is_missed() -> None:
    assert "| peak for 500,000 jobs, SQLite | ≤ 4000 MB | 5,000 MB | **missed** |" in text_of(
        [0.9], 0.8, 5_000.0
    )
