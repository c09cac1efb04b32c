"""Numbers and dates as people choose jobs by them."""

from datetime import UTC, datetime

import pytest

from jobs.ranges import MOST, parse_periods, parse_ranges


@pytest.mark.parametrize(
    ("text", "ranges"), [("7", [(7, 7)]), ("3-7,12", [(3, 7), (12, 12)]), (" 3 - 7 , 12 ", [(3, 7), (12, 12)])]
)
def test_numbers_and_ranges_are_read(text: str, ranges: list[tuple[int, int]]) -> None:
    assert parse_ranges(text) == ranges


@pytest.mark.parametrize("text", ["", "x", "3-", "-3", "1,,2", "3-7-9", "1.5", "٣", "1" * 10])
def test_what_is_no_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 1,4-6"):
        parse_ranges(text)


def test_more_parts_than_a_database_takes_are_refused() -> None:
    with pytest.raises(ValueError, match=f"more than {MOST}"):
        parse_ranges(",".join("1" * (MOST + 1)))


@pytest.mark.parametrize("text", ["20000101-20001201", "2000-01-01-2000-12-01", "20000101-2000-12-01"])
def test_a_range_of_dates_lasts_to_the_end_of_the_last_day(text: str) -> None:
    ((first, last),) = parse_periods(text)
    assert (first, last) == (datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 12, 1, 23, 59, 59, 999999, tzinfo=UTC))


def test_dates_and_ranges_stand_beside_each_other() -> None:
    assert [first.year for first, _ in parse_periods("20000101,20010101-20020101,2003-01-01")] == [2000, 2001, 2003]


@pytest.mark.parametrize("text", ["", "2000", "20001301", "20000101-", "20000101-x", "20000101,x"])
def test_what_is_no_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="A range is two of them with a hyphen: 20000101-20001201"):
        parse_periods(text)
