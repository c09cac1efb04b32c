"""The metrics, by hand."""

from typing import Any

import pytest

from experiments.performance.metrics import ListedJob, Metrics, compute_metrics
from experiments.performance.settings import SimulationSettings
from jobs.autosubmit.history import PastAttempt

DAY = 86_400
SETTINGS = SimulationSettings(elements=100, platform="MN5", years=0.5, carbon=200.0, usage=1.5)


def attempt(name: str, run: int = DAY // 2, queue: int = DAY // 2, start: int = 10 * DAY, **values: Any) -> PastAttempt:
    """Return an attempt that took half a day, after half a day in the queue."""
    told = {"run_id": 1, "status": "COMPLETED", "ncpus": 4, "energy": 0}
    return PastAttempt(name, submit=start - queue, start=start, finish=start + run, **{**told, **values})


def metrics_of(*attempts: PastAttempt, years: dict[int, float] | None = None, running: str = "") -> Metrics:
    """Return the metrics of jobs, of which one may be running; their section is the end of their name."""
    statuses = {running: "RUNNING"}
    jobs = [ListedJob(one.name, one.name.rpartition("_")[2], statuses.get(one.name, "COMPLETED")) for one in attempts]
    return compute_metrics(jobs, {one.name: one for one in attempts}, SETTINGS, years or {})


def test_the_metrics_of_two_simulations() -> None:
    found = metrics_of(attempt("1_SIM", energy=1_000), attempt("2_SIM", energy=3_000))
    assert (found.years, found.sypd, found.asypd) == (1.0, 1.0, 0.5)
    assert (found.chsy, found.jpsy, found.energy, found.parallelization) == (2_400.0, 4_000.0, 4_000, 100)
    assert found.footprint == pytest.approx(4_000 / 3.6e9 * 200 * 1.5)


def test_a_mean_post_job_belongs_to_the_actual_speed() -> None:
    posts = [attempt("1_POST", run=DAY, queue=0), attempt("2_POST", run=2 * DAY, queue=DAY)]
    found = metrics_of(attempt("1_SIM"), *posts)
    assert (found.asypd, found.posts) == (0.1667, 2)  # half a year in three days


def test_the_real_speed_ends_with_the_last_transfer_else_with_the_last_clean() -> None:
    sim, clean = attempt("1_SIM"), attempt("1_CLEAN", start=14 * DAY, run=DAY)
    transfer = attempt("1_TRANSFER", start=11 * DAY, run=DAY)
    assert (metrics_of(sim).rsypd, metrics_of(sim, clean).rsypd, metrics_of(sim, clean, transfer).rsypd) == (
        None,
        0.1,
        0.25,
    )


def test_the_years_are_those_of_the_run_of_a_job() -> None:
    assert metrics_of(attempt("1_SIM"), attempt("2_SIM", run_id=2), years={2: 2.0}).years == 2.5


def test_what_is_not_completed_or_whose_attempt_is_another_does_not_count() -> None:
    found = metrics_of(attempt("1_SIM"), attempt("2_SIM"), attempt("3_SIM", status="FAILED"), running="2_SIM")
    assert [sim.job.name for sim in found.considered] == ["1_SIM"]
    assert [sim.job.name for sim in found.left_out] == ["3_SIM"]


def test_a_run_time_out_of_the_common_is_left_out() -> None:
    usual = [attempt(f"{number}_SIM", run=1_000 + number) for number in range(9)]
    found = metrics_of(*usual, attempt("9_SIM", run=5), attempt("10_SIM", run=90_000))
    assert [sim.job.name for sim in found.left_out] == ["9_SIM", "10_SIM"]


def test_without_a_simulation_nothing_is_told_but_the_parallelisation() -> None:
    found = metrics_of(attempt("1_POST"))
    assert (found.sypd, found.chsy, found.jpsy, found.parallelization) == (None, None, None, 100)


def test_splits_share_the_years_of_a_chunk() -> None:
    job = ListedJob("1_SIM", "SIM", "COMPLETED", 1, 4)
    (sim,) = compute_metrics([job], {"1_SIM": attempt("1_SIM")}, SETTINGS, {}).considered
    assert (sim.sypd, sim.asypd) == (0.25, 0.12)
