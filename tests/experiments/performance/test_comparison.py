"""What differs between two runs."""

import pytest

from experiments.performance.comparison import Comparison, RunJobs, choose_run, compare_runs
from experiments.performance.costs import group_attempts
from experiments.performance.metrics import ListedJob
from jobs.autosubmit.history import PastAttempt


def attempt(name: str, run_id: int, status: str = "COMPLETED", *, seconds: int = 100, queue: int = 10) -> PastAttempt:
    return PastAttempt(name, run_id, status, 1_000, 1_000 + queue, 1_000 + queue + seconds, 4, 0)


def choose(run_id: int, *attempts: PastAttempt, expid: str = "a000", jobs: tuple[str, ...] = ()) -> RunJobs:
    listed = [ListedJob(f"{expid}_{name}", name.rpartition("_")[2], "WAITING") for name in jobs]
    return choose_run(expid, listed, group_attempts(attempts), run_id)


def compare(*attempts: PastAttempt) -> Comparison:
    jobs = ("1_SIM", "2_SIM", "POST")
    return compare_runs(choose(1, *attempts, jobs=jobs), choose(2, *attempts, jobs=jobs))


def test_a_job_that_ended_alike_after_as_many_attempts_does_not_differ() -> None:
    found = compare(attempt("a000_1_SIM", 1), attempt("a000_1_SIM", 2, seconds=400))
    assert [job.differs for job in found.jobs] == [False]


@pytest.mark.parametrize(
    ("status", "seconds", "expected"),
    [("COMPLETED", 60, True), ("COMPLETED", 140, True), ("COMPLETED", 120, False), ("FAILED", 10, False)],
)
def test_a_job_took_otherwise_if_it_ran_a_fifth_longer_or_shorter(status: str, seconds: int, expected: bool) -> None:
    found = compare(attempt("a000_1_SIM", 1), attempt("a000_1_SIM", 2, status, seconds=seconds))
    assert [job.took_otherwise for job in found.jobs] == [expected]


def test_a_job_that_ended_otherwise_differs() -> None:
    found = compare(attempt("a000_1_SIM", 1), attempt("a000_1_SIM", 2, "FAILED"))
    assert [job.differs for job in found.jobs] == [True]
    assert found.statuses == [("COMPLETED", 1, 0), ("FAILED", 0, 1)]


def test_a_job_that_took_more_attempts_differs_and_is_counted_as_retrial() -> None:
    found = compare(attempt("a000_1_SIM", 1, "FAILED"), attempt("a000_1_SIM", 1), attempt("a000_1_SIM", 2))
    assert [job.differs for job in found.jobs] == [True]
    assert (found.first.retrials, found.second.retrials) == (1, 0)


def test_a_job_that_only_one_run_tried_differs() -> None:
    (job,) = compare(attempt("a000_POST", 2)).jobs
    assert (job.name, job.section, job.first, job.differs) == ("POST", "POST", None, True)


def test_the_difference_of_a_section_is_that_of_the_middle() -> None:
    first = [attempt(f"a000_{number}_SIM", 1, seconds=100 * number, queue=10) for number in (1, 2)]
    second = [attempt(f"a000_{number}_SIM", 2, seconds=400, queue=4) for number in (1, 2)]
    (section,) = compare(*first, *second).sections
    assert (section.name, section.run_difference, section.queue_difference) == ("SIM", 250, -6)


def test_a_section_that_only_one_run_completed_has_no_difference() -> None:
    (section,) = compare(attempt("a000_1_SIM", 1), attempt("a000_1_SIM", 2, "FAILED")).sections
    assert section.run_difference is section.queue_difference is None


def test_jobs_of_two_experiments_are_compared_by_what_follows_the_expid() -> None:
    first = choose(1, attempt("a000_1_SIM", 1), jobs=("1_SIM",))
    second = choose(7, attempt("b111_1_SIM", 7), expid="b111", jobs=("1_SIM",))
    assert [(job.name, job.differs) for job in compare_runs(first, second).jobs] == [("1_SIM", False)]


def test_a_job_that_left_the_list_is_compared_without_its_section() -> None:
    (job,) = compare(attempt("a000_OLD", 1), attempt("a000_OLD", 2)).jobs
    assert (job.name, job.section) == ("OLD", "")
