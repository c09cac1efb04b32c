"""Autosubmit's notation for dates, members and chunks."""

from datetime import UTC, datetime

import pytest

from jobs.autosubmit.chunk_filter import UnreadableFilter, read_chunk_filter

FIRST, SECOND = datetime(2000, 1, 1, 6, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("[ 20000101 [ fc0 [1 3] ] ]", [1, 3]),
        ("[20000101[FC0[2-4]]]", [2, 3, 4]),
        ("[ any [ Any [ANY] ] ]", [1, 2, 3, 4]),
        ("[ 20010101 [ fc0 [1-4] ] ]", []),
        ("[ 20000101 [ fc1 [1-4] fc0 [2] ] ]", [2]),
        ("[ 20010101 [ Any [Any] ] 20000101 [ fc0 [4] ] ]", [4]),
        ("[ 20000101 [ fc0 [] ] ]", []),
    ],
)
def test_a_filter_means_these_chunks_of_a_member(text: str, chunks: list[int]) -> None:
    wanted = read_chunk_filter(text)
    assert [chunk for chunk in range(1, 5) if wanted.matches(FIRST, "fc0", chunk)] == chunks


def test_a_job_without_a_chunk_never_matches() -> None:
    wanted = read_chunk_filter("[ Any [ Any [Any] ] ]")
    assert not wanted.matches(FIRST, "fc0", None)
    assert not wanted.matches(FIRST, "", 1)
    assert wanted.matches(SECOND, "fc0", 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fc0",
        "[ 20000101 [ fc0 [1] ]",
        "[ 20000101 ]",
        "[ 20000101 fc0 [1] ]",
        "[ 20000101 [ b [ [1] ] ] ]",
        "[" * 5000,
        "[ Any [ b [1-] ] ]",
        "[ Any [ b [1-99999999999999999999] ] ]",
        "[ Any [ b [x] ] ]",
        "[ a [ b [1] ] ]",
        "[ 20000199 [ b [1] ] ]",
        "[ 2000010199 [ b [1] ] ]",
        "[ 200001 [ b [1] ] ]",
        "[ 20000101-2000010212 [ b [1] ] ]",
        "[ Any [ b [1] ] ] [ Any [ c [1] ] ]",
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFilter):
        read_chunk_filter(text)


@pytest.mark.parametrize(
    ("date", "hours"),
    [
        ("20000101", [0, 6, 12]),
        ("2000010106", [6]),
        ("200001010600", [6]),
        ("2000010107", []),
        ("2000010100-2000010106", [0, 6]),
        ("19991231-20000102", [0, 6, 12]),
    ],
)
def test_a_date_is_a_day_or_an_hour_or_a_minute_of_it(date: str, hours: list[int]) -> None:
    wanted = read_chunk_filter(f"[ {date} [ Any [1] ] ]")
    dates = {hour: datetime(2000, 1, 1, hour, tzinfo=UTC) for hour in (0, 6, 12)}
    assert [hour for hour, start in dates.items() if wanted.matches(start, "fc0", 1)] == hours


@pytest.mark.parametrize("member", ["fc-0", "fc+1", "r1i1p1f1.a", "a/b"])
def test_a_member_is_what_autosubmit_accepts_as_one(member: str) -> None:
    wanted = read_chunk_filter(f"[ 20000101 [ {member} [1] ] ]")
    assert wanted.matches(FIRST, member, 1)
    assert not wanted.matches(FIRST, "fc", 1)


def test_a_range_of_a_thousand_million_numbers_costs_nothing() -> None:
    wanted = read_chunk_filter("[ Any [ Any [1-999999999] ] ]")
    assert wanted.matches(FIRST, "fc0", 123456)


def test_a_range_means_numbers_without_zeros_before_them() -> None:
    wanted = read_chunk_filter("[ Any [ 1-3 [Any] ] ]")
    assert [member for member in ("1", "01", "3", "fc3") if wanted.matches(FIRST, member, 1)] == ["1", "3"]


def test_what_no_job_has_is_named_once() -> None:
    wanted = read_chunk_filter("[ 20000101 [ fc0 [1 9] fc1 [9 2-3] ] ]")
    assert wanted.find_unknown([(FIRST, "fc0", 1), (FIRST, "", None)]) == ["chunk 9", "member FC1", "chunk 2-3"]


def test_without_any_job_everything_is_unknown() -> None:
    assert read_chunk_filter("[ 20000101 [ Any [1] ] ]").find_unknown([]) == ["date 20000101", "chunk 1"]


@pytest.mark.parametrize(("text", "chunks"), [("3-7,12", [3, 7, 12]), ("3", [3]), (" 3 - 4 , 12", [3, 12])])
def test_numbers_without_brackets_are_chunks_of_all_jobs(text: str, chunks: list[int]) -> None:
    wanted = read_chunk_filter(text)
    assert [chunk for chunk in (1, 3, 7, 12) if wanted.matches(None, "", chunk)] == chunks
    assert not wanted.matches(None, "fc0", None)


def test_a_number_that_no_job_has_is_named() -> None:
    assert read_chunk_filter("1,9").find_unknown([(None, "", 1)]) == ["chunk 9"]
