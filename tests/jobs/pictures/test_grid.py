"""The grid of an experiment."""

from jobs.pictures.grid import lay_out_grid
from jobs.pictures.picture import PicturedJob
from tests.jobs.pictures.workflows import START, list_workflow


def test_sections_stand_below_each_other_in_their_order() -> None:
    picture = lay_out_grid(list_workflow(2, 3)[0])
    assert [group.label for group in picture.groups] == ["INI", "SIM", "POST", "FINAL"]
    assert [group.length for group in picture.groups] == [1, 2, 2, 1]


def test_members_are_rows_and_chunks_are_columns() -> None:
    jobs, _ = list_workflow(2, 3)
    picture = lay_out_grid(jobs)
    assert [band.label for band in picture.columns] == ["–", "1", "2", "3"]
    assert [band.label for band in picture.rows[1:3]] == ["fc0", "fc1"]
    boxes = {job.name: box for job, box in zip(jobs, picture.boxes, strict=True)}
    assert boxes["a000_20000101_fc1_3_SIM"] == (3, picture.rows[2].start, 1, 1)


def test_a_job_without_a_chunk_has_the_first_column_and_a_row_of_its_own() -> None:
    picture = lay_out_grid(list_workflow(1, 1)[0])
    assert next(iter(picture.boxes)) == (0, 0, 1, 1)


def test_no_two_jobs_share_a_place() -> None:
    picture = lay_out_grid(list_workflow(3, 4)[0])
    assert len({box[:2] for box in picture.boxes}) == len(picture.jobs)


def test_splits_share_the_column_of_their_chunk_in_their_order() -> None:
    sim = PicturedJob(1, "sim", "WAITING", "SIM", START, "fc0", 1)
    splits = [
        PicturedJob(2 + n, f"split{n}", "WAITING", "DN", START, "fc0", 1, split) for n, split in enumerate((2, 1))
    ]
    picture = lay_out_grid([sim, *splits])
    assert [(x, width) for x, _, width, _ in picture.boxes] == [(0, 2), (1, 1), (0, 1)]


def test_members_are_sorted_as_people_count_and_dates_are_named_where_there_are_several() -> None:
    made = [("fc10", START), ("fc2", START + 6 * 3600), ("fc2", START)]
    jobs = [PicturedJob(n, f"{n}", "WAITING", "SIM", date, member, 1) for n, (member, date) in enumerate(made)]
    labels = [band.label for band in lay_out_grid(jobs).rows]
    assert labels == ["2000010100 fc2", "2000010100 fc10", "2000010106 fc2"]


def test_nothing_makes_an_empty_picture() -> None:
    picture = lay_out_grid([])
    assert ([*picture.boxes], [*picture.rows], [*picture.columns]) == ([], [], [])
