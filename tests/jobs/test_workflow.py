"""The graph of an experiment: what waits for what."""

from jobs.workflow import JobRow, Workflow

DIAMOND = Workflow(
    [JobRow("A", "COMPLETED"), JobRow("B", "FAILED"), JobRow("C", "SKIPPED"), JobRow("D", "WAITING")],
    [("A", "B"), ("A", "C"), ("B", "D"), ("C", "D")],
)


def test_descendants_are_found_once_the_nearest_first() -> None:
    assert [row.name for row in DIAMOND.find_descendants(["A"])] == ["B", "C", "D"]


def test_the_jobs_themselves_are_not_their_descendants() -> None:
    assert [row.name for row in DIAMOND.find_descendants(["B", "D"])] == []


def test_a_circle_does_not_go_on_for_ever() -> None:
    circle = Workflow([JobRow("A", "READY"), JobRow("B", "WAITING")], [("A", "B"), ("B", "A")])
    assert [row.name for row in circle.find_descendants(["A"])] == ["B"]
