"""What sections and chunks took and cost."""

from experiments.performance.costs import Cost, count_chunks, count_sections, group_attempts
from experiments.performance.metrics import ListedJob
from jobs.autosubmit.history import PastAttempt

JOBS = [
    ListedJob("1_SIM", "SIM", "COMPLETED", 1),
    ListedJob("1_SIM_of_fc1", "SIM", "COMPLETED", 1),
    ListedJob("2_SIM", "SIM", "WAITING", 2),
    ListedJob("POST", "POST", "COMPLETED"),
]


def attempt(name: str, run: int, status: str = "COMPLETED", run_id: int = 1) -> PastAttempt:
    """Return an attempt with four processors, after ten seconds in the queue."""
    return PastAttempt(name, run_id, status, 90, 100, 100 + run, 4, 7)


ATTEMPTS = group_attempts(
    [
        attempt("1_SIM", 900, "FAILED"),
        attempt("1_SIM", 1_800),
        attempt("1_SIM_of_fc1", 3_600, run_id=1),
        attempt("1_SIM_of_fc1", 3_600, run_id=2),
        attempt("POST", 0),
    ]
)


def test_a_section_has_the_middle_of_its_completed_attempts() -> None:
    sim = count_sections(JOBS, ATTEMPTS)[0]
    assert (sim.jobs, sim.done, sim.attempts, sim.failed) == (3, 2, 4, 1)
    assert (sim.queue, sim.run, sim.longest) == (10, 3_600, 3_600)


def test_retrials_are_of_one_run() -> None:
    assert [cost.retrials for cost in count_sections(JOBS, ATTEMPTS)] == [1, 0]


def test_core_hours_and_energy_are_of_all_attempts_with_the_part_of_failed_ones() -> None:
    sim = count_sections(JOBS, ATTEMPTS)[0]
    assert (sim.core_hours, sim.failed_core_hours, sim.energy) == (11.0, 1.0, 28)


def test_chunks_are_in_their_order_and_jobs_without_one_come_first() -> None:
    assert [(cost.name, cost.jobs, cost.done) for cost in count_chunks(JOBS, ATTEMPTS, "SIM")] == [
        ("1", 2, 2),
        ("2", 1, 0),
    ]
    assert [cost.name for cost in count_chunks(JOBS, ATTEMPTS, "POST")] == [""]


def test_an_attempt_that_took_no_time_is_not_measured() -> None:
    assert Cost("x").run == count_sections(JOBS, ATTEMPTS)[1].run == 0
