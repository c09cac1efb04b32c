"""The graph of an experiment: all jobs in lanes, a few in levels, and the sections."""

from jobs.pictures.graph import lay_out_lanes, lay_out_levels
from jobs.pictures.levels import compute_levels
from jobs.pictures.picture import PicturedJob
from jobs.pictures.sections import SectionEdge, lay_out_sections
from tests.jobs.pictures.workflows import list_workflow


def test_jobs_without_a_chunk_stand_before_the_chunks_or_after_what_they_wait_for() -> None:
    jobs, edges = list_workflow(2, 3)
    boxes = lay_out_lanes(jobs, edges).boxes
    assert boxes.x[0] < min(boxes.x[1:])
    assert boxes.x[-1] > max(boxes.x[:-1])


def test_a_lane_is_one_section_of_one_member() -> None:
    jobs, edges = list_workflow(2, 3)
    picture = lay_out_lanes(jobs, edges)
    assert [group.label for group in picture.groups] == ["", "20000101 fc0", "20000101 fc1"]
    heights = {(job.member, job.section): y for job, y in zip(jobs, picture.boxes.y, strict=True)}
    assert len(set(heights.values())) == len(heights) == 6


def test_each_of_ten_thousand_jobs_has_a_place_of_its_own() -> None:
    jobs, edges = list_workflow(50, 100)
    picture = lay_out_lanes(jobs, edges)
    assert len({box[:2] for box in picture.boxes}) == len(jobs) == 10_002


def test_children_stand_right_of_their_last_parent() -> None:
    assert compute_levels(4, [(0, 1), (1, 2), (0, 2), (2, 3)]) == [0, 1, 2, 3]


def test_a_circle_does_not_go_on_for_ever() -> None:
    assert len(compute_levels(3, [(0, 1), (1, 2), (2, 1)])) == 3


def test_neighbours_in_a_level_are_sorted_so_that_their_edges_do_not_cross() -> None:
    jobs = [PicturedJob(n, f"{n}", "WAITING") for n in range(4)]
    boxes = lay_out_levels(jobs, [(0, 3), (1, 2)]).boxes
    assert (boxes.y[0] < boxes.y[1]) == (boxes.y[3] < boxes.y[2])
    assert boxes.x == [0, 0, 1, 1]


def test_sections_stand_in_the_order_of_a_chunk_though_chunks_make_circles() -> None:
    counts = {name: {"WAITING": 1} for name in ("SIM", "POST", "CLEAN", "PLOT")}
    edges = [SectionEdge("SIM", "POST", 9, 9), SectionEdge("POST", "SIM", 8, 0), SectionEdge("POST", "CLEAN", 9, 9)]
    nodes = lay_out_sections(counts, [*edges, SectionEdge("POST", "PLOT", 9, 9)])
    assert [(node.name, node.column, node.row) for node in nodes] == [
        ("SIM", 0, 0),
        ("POST", 1, 0),
        ("CLEAN", 2, 0),
        ("PLOT", 2, 1),
    ]
