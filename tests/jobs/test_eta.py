"""How long the chunks of a section still take."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.eta import ChunkJob, Eta, estimate

START = datetime(2026, 11, 24, tzinfo=UTC)


def job(chunk: int, status: str = "COMPLETED", *, start: int | None = 0, end: int | None = 60) -> ChunkJob:
    """Return a job that began and ended so many seconds after START."""
    began, ended = (None if at is None else START + timedelta(seconds=at) for at in (start, end))
    return ChunkJob(chunk, status, began, ended)


def test_what_is_left_takes_as_long_as_the_mean_of_what_is_complete() -> None:
    chunks = [job(1, end=60), job(2, end=120), job(3, "RUNNING", end=None), job(4, "WAITING", start=None)]
    assert estimate(chunks) == Eta(180.0, 4, 2, 90.0)


def test_a_chunk_takes_from_its_first_start_to_its_last_end() -> None:
    assert estimate([job(1, start=0, end=60), job(1, start=30, end=100)]).avg_runtime_per_chunk_seconds == 100


def test_a_chunk_is_left_while_one_of_its_jobs_is() -> None:
    assert estimate([job(1), job(1, "FAILED")]) == Eta(None, 1, 1, None)


def test_nothing_is_left_when_all_is_complete() -> None:
    assert estimate([job(1), job(2)]) == Eta(0.0, 2, 0, 60.0)


@pytest.mark.parametrize(("start", "end"), [(None, 60), (0, None), (60, 0)])
def test_a_chunk_that_was_not_measured_counts_as_complete_only(start: int | None, end: int | None) -> None:
    assert estimate([job(1, start=start, end=end), job(2, "WAITING")]) == Eta(None, 2, 1, None)
