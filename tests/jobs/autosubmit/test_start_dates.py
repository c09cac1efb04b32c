"""Start dates with and without an hour."""

from datetime import UTC, datetime

import pytest

from jobs.autosubmit.start_dates import format_alike, format_start_date, parse_period


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("20000229", (2000, 2, 29), (2000, 2, 29, 23, 59, 59, 999999)),
        ("1999-12-31", (1999, 12, 31), (1999, 12, 31, 23, 59, 59, 999999)),
        ("9999123123", (9999, 12, 31, 23), (9999, 12, 31, 23, 59, 59, 999999)),
        ("2000-01-01T12:30", (2000, 1, 1, 12, 30), (2000, 1, 1, 12, 30, 59, 999999)),
    ],
)
def test_a_date_is_as_long_as_it_is_written(text: str, start: tuple[int, int, int], end: tuple[int, int, int]) -> None:
    assert parse_period(text) == (datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "19990229", "2000010124", "200001011260", "00000101", "20000101 "])
def test_what_is_no_date_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        parse_period(text)


@pytest.mark.parametrize("text", ["20000101", "2000010112", "200001011230"])
def test_a_date_is_written_as_short_as_in_the_names_of_jobs(text: str) -> None:
    assert format_start_date(parse_period(text)[0]) == text


def test_a_date_is_written_as_in_the_name_of_the_job() -> None:
    (midnight, _) = parse_period("20000101")
    assert format_start_date(midnight, "a000_2000010100_fc0_1_SIM") == "2000010100"
    assert format_start_date(midnight, "a000_20000101_fc0") == "20000101"
    assert format_start_date(midnight, "a000_POST") == "20000101"


@pytest.mark.parametrize(
    "texts", [["20000101", "20000102"], ["2000010100", "2000010112"], ["200001010000", "200001011200", "200001011230"]]
)
def test_dates_of_one_experiment_have_one_form(texts: list[str]) -> None:
    assert format_alike(parse_period(text)[0] for text in texts) == texts
