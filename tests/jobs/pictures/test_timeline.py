"""The timeline of an experiment."""

from jobs.pictures.picture import PicturedJob
from jobs.pictures.timeline import lay_out_timeline
from tests.jobs.pictures.workflows import START


def sent(number: int, submit: int, start: int | None = None, finish: int | None = None) -> PicturedJob:
    """Return a job with its times in minutes."""
    times = [None if at is None else START + 60 * at for at in (submit, start, finish)]
    return PicturedJob(number, f"{number}", "COMPLETED", "SIM", None, "", None, None, *times)


NOW = START + 3600


def test_a_box_begins_when_its_job_was_submitted_and_says_how_much_of_it_is_waiting() -> None:
    picture = lay_out_timeline([sent(1, 0, 0, 1), sent(2, 5, 8, 10)], NOW)
    assert (picture.boxes.x[1], picture.boxes.width[1], picture.waits[1]) == (300, 300, 180)
    assert picture.origin == START


def test_what_is_not_over_lasts_until_now() -> None:
    assert lay_out_timeline([sent(1, 0, 10), sent(2, 30)], NOW).boxes.width == [3600, 1800]


def test_jobs_that_were_never_sent_are_left_out() -> None:
    assert lay_out_timeline([PicturedJob(1, "1", "WAITING")], NOW).jobs == []


def test_jobs_at_the_same_time_stand_below_each_other_and_later_ones_take_a_free_row() -> None:
    picture = lay_out_timeline([sent(1, 0, 0, 10), sent(2, 5, 5, 15), sent(3, 10, 10, 20)], NOW)
    assert picture.boxes.y == [0, 1, 0]
    assert [(group.label, group.length) for group in picture.groups] == [("SIM", 2)]


def test_the_beginning_of_a_run_is_marked_where_it_lies_between_the_jobs() -> None:
    runs = [("Run 1", START + 60), ("Run 2", NOW + 86_400)]
    assert lay_out_timeline([sent(1, 0, 0, 10)], NOW, runs).marks == [("Run 1", 60)]
