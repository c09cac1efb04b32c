"""The section about many lists that change."""

from tests.tools.bench.changing import Changing, section
from tests.tools.bench.fleet import FirstPass


def text_of(seconds: list[float], small: float, megabytes: float = 3_000.0) -> str:
    measured = {"SQLite": Changing(25, seconds, [small] * 20, 500.0, {"mirror": 0.25})}
    return section(measured, {"SQLite": FirstPass(1, 500_000, 60.0, megabytes)}, "Now.").text


def test_what_is_seen_soon_enough_is_met() -> None:
    text = text_of([0.9] * 18 + [3.0] * 2, 0.6)
    assert "| large list, p50 s | ≤ 1.5 | 0.90 |" in text
    assert "20 large and 20 small (SQLite) changes were seen" in text
    assert "| cores, mirror |  | 0.25 |" in text
    assert "missed" not in text


def test_a_small_list_that_waits_for_large_ones_is_missed() -> None:
    assert "| small list, p95 s | ≤ 0.7 | **20.0, missed** |" in text_of([0.9] * 20, 20.0)


def test_more_memory_than_is_told_is_missed() -> None:
    text = text_of([0.9], 0.8, 5_000.0)
    assert "| the longest list, 500,000 jobs, memory MB | ≤ 4000 | **5,000, missed** |" in text
