"""Why a job does not run."""

from jobs.pictures.blocked import find_causes


def test_the_way_leads_back_to_what_failed() -> None:
    causes = find_causes(4, [(1, 2), (2, 3), (3, 4)], {1: "FAILED", 2: "WAITING", 3: "WAITING"})
    assert [(cause.job, cause.steps, cause.path) for cause in causes] == [(1, 3, (1, 2, 3, 4))]


def test_what_failed_comes_before_what_only_goes_on_and_the_nearest_first() -> None:
    edges = [(1, 9), (2, 9), (3, 2), (4, 2), (5, 4)]
    causes = find_causes(9, edges, {1: "RUNNING", 2: "WAITING", 3: "SUSPENDED", 4: "WAITING", 5: "FAILED"})
    assert [cause.job for cause in causes] == [3, 5, 1]


def test_a_job_is_told_once_by_its_shortest_way() -> None:
    causes = find_causes(4, [(1, 2), (2, 4), (1, 4)], {1: "FAILED", 2: "WAITING"})
    assert [cause.path for cause in causes] == [(1, 4)]


def test_nothing_holds_up_a_job_whose_parents_are_done() -> None:
    assert find_causes(1, [], {}) == []


def test_a_circle_does_not_go_on_for_ever() -> None:
    assert find_causes(1, [(2, 1), (1, 2)], {1: "WAITING", 2: "WAITING"}) == []
