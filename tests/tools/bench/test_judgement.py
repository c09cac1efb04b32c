"""What the bench makes of its figures."""

import pytest

from tests.tools.bench.judgement import at_least, at_most, figure, table, untargeted
from tests.tools.bench.load import Sample, percentile


@pytest.mark.parametrize(("percent", "value"), [(50, 10.0), (95, 19.0), (100, 20.0), (1, 1.0)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(percent: int, value: float) -> None:
    assert percentile([float(number) for number in range(20, 0, -1)], percent) == value


def test_a_sample_counts_answers_a_second_over_all_its_turns() -> None:
    sample = Sample([5.0, 7.0], seconds=1.0)
    sample.add(Sample([6.0, 9.0], seconds=3.0))
    assert (sample.p50, sample.per_second) == (6.5, 1.0)


def test_a_sample_names_what_was_answered_instead() -> None:
    sample = Sample([1.0] * 3)
    sample.statuses.update([200, 404, 503])
    assert sample.failure == "HTTP 404, HTTP 503"


@pytest.mark.parametrize(
    ("verdict", "is_met"),
    [
        (at_least("x", "SQLite", 20, 20.0), True),
        (at_least("x", "SQLite", 20, 19.99), False),
        (at_most("x", "SQLite", 3, 3.0), True),
        (at_most("x", "SQLite", 3, 3.01), False),
    ],
)
def test_a_target_is_met_from_its_value_on(verdict: object, is_met: bool) -> None:
    assert getattr(verdict, "is_met") is is_met  # noqa: B009


def test_a_table_has_a_row_for_each_figure_and_a_column_for_each_database() -> None:
    verdicts = [
        at_most("memory, MB", "SQLite", 300, 98.2),
        untargeted("p50, ms", "SQLite", 5.0),
        at_most("memory, MB", "PostgreSQL", 200, 201.0),
    ]
    assert table("load", verdicts).splitlines() == [
        "| load | target | SQLite | PostgreSQL |",
        "| --- | --- | --- | --- |",
        "| memory, MB | ≤ 300, ≤ 200 | 98.2 | **201, missed** |",
        "| p50, ms |  | 5.00 |  |",
    ]


def test_a_target_that_all_share_stands_in_the_head() -> None:
    rows = table("seconds", [at_most("all jobs", "SQLite", 0.15, 0.06), at_most("one", "SQLite", 0.15, 0.01)])
    assert rows.splitlines()[::2] == ["| seconds (target: ≤ 0.15) | SQLite |", "| all jobs | 0.06 |"]


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (640.0, "640"), (30.84, "30.8"), (3.6, "3.60")])
def test_a_figure_has_three_digits(value: float, text: str) -> None:
    assert figure(value) == text
