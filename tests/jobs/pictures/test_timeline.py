"""The timeline of an experiment."""

from jobs.pictures.picture import Picture, PicturedJob, Span
from jobs.pictures.timeline import PicturedRun, PicturedWrapper, lay_out_timeline
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


def test_a_job_whose_times_are_not_written_lasts_from_when_it_was_seen() -> None:
    running, queuing = (
        PicturedJob(number, "a", status, "SIM", seen_at=START + 60 * number)
        for number, status in ((10, "RUNNING"), (20, "QUEUING"))
    )
    picture = lay_out_timeline([running, queuing], NOW)
    assert (picture.boxes.width, picture.waits) == ([3000, 2400], [0, 2400])


def test_a_job_of_which_only_the_submission_is_written_waited_until_it_was_seen_to_run() -> None:
    job = sent(1, 0)._replace(status="RUNNING", seen_at=START + 120)
    assert lay_out_timeline([job], NOW).waits == [120]


def test_jobs_that_were_never_sent_are_left_out() -> None:
    assert lay_out_timeline([PicturedJob(1, "1", "WAITING")], NOW).jobs == []


def test_jobs_at_the_same_time_stand_below_each_other_and_later_ones_take_a_free_row() -> None:
    picture = lay_out_timeline([sent(1, 0, 0, 10), sent(2, 5, 5, 15), sent(3, 10, 10, 20)], NOW)
    assert picture.boxes.y == [0, 1, 0]
    assert [(group.label, group.length) for group in picture.groups] == [("SIM", 2)]


def run(label: str, begin: int, end: int | None = None, *, goes_on: bool = False) -> PicturedRun:
    """Return a run with its times in minutes."""
    ended_at = None if end is None else START + 60 * end
    return PicturedRun(label, START + 60 * begin, ended_at, goes_on, "")


def spans(picture: Picture) -> list[tuple[str, float, float | None]]:
    """Return label, beginning and width of what stands above the jobs."""
    return [(span.label, span.x, span.width) for span in picture.spans]


def test_a_run_stands_above_the_sections() -> None:
    picture = lay_out_timeline([sent(1, 0, 0, 10)], NOW, ("Runs", [run("Run 1", 1, 12)]))
    assert spans(picture) == [("Run 1", 60, 660)]
    assert [group.label for group in picture.groups] == ["Runs", "SIM"]
    assert picture.boxes.y[0] > 1


def test_a_run_that_began_before_the_jobs_is_cut_and_one_that_is_all_before_or_after_them_is_left_out() -> None:
    runs = [run("Run 1", -30, -20), run("Run 2", -10, 5), run("Run 3", 60, 70)]
    assert spans(lay_out_timeline([sent(1, 0, 0, 10)], NOW, ("Runs", runs))) == [("Run 2", 0, 300)]


def test_a_run_without_an_end_ends_with_the_last_job_sent_before_the_next_one() -> None:
    jobs = [sent(1, 0, 0, 10), sent(2, 5, 5, 9), sent(3, 20, 20, 30)]
    picture = lay_out_timeline(jobs, NOW, ("Runs", [run("Run 1", 0), run("Run 2", 15, goes_on=True)]))
    assert spans(picture) == [("Run 1", 0, 600), ("Run 2", 900, None)]


def test_a_run_without_an_end_does_not_outlast_the_beginning_of_the_next_one() -> None:
    runs = [run("Run 1", 0), run("Run 2", 5, 10)]
    assert spans(lay_out_timeline([sent(1, 0, 0, 10)], NOW, ("Runs", runs)))[0] == ("Run 1", 0, 300)


def test_runs_at_the_same_time_stand_below_each_other() -> None:
    runs = [run("Run 1", 0, 10), run("Run 2", 5, 10)]
    assert [span.y for span in lay_out_timeline([sent(1, 0, 0, 10)], NOW, ("Runs", runs)).spans] == [0, 1]


def test_a_wrapper_lasts_from_the_first_submission_of_its_jobs_to_their_last_end() -> None:
    jobs = [sent(1, 0, 0, 1), sent(2, 1, 4, 10), sent(3, 1, 10, 20)]
    wrapper = PicturedWrapper("a000_W", [3, 2], "/jobs/")
    [span] = lay_out_timeline(jobs, NOW, wrappers=("Wrappers", [wrapper])).spans
    assert span == Span("a000_W", 60, 0, 1140, 180, [1, 2], "/jobs/")


def test_a_wrapper_without_a_job_that_was_sent_is_left_out() -> None:
    wrapper = PicturedWrapper("a000_W", [2], "")
    assert lay_out_timeline([sent(1, 0, 0, 1)], NOW, wrappers=("Wrappers", [wrapper])).spans == []
