"""What is forecast of a run: when it ends, between which instants, and what that rests on."""

from datetime import timedelta
from typing import Any

import pytest

from experiments.forecast import forecast as module
from experiments.forecast.facts import ForecastJob, Limit
from experiments.forecast.forecast import Forecast, make_forecast, read_forecast, tell_forecast
from tests.experiments.forecast.workflows import NOW, RUN, WAIT, chain, done, facts, waiting

HISTORY = [done(f"done {number}", ago=number * 700.0) for number in range(5)]


def left(forecast: Forecast) -> float:
    """Return in how many seconds the end is expected."""
    assert forecast.ends_at is not None
    return (forecast.ends_at - forecast.made_at).total_seconds()


def lateness(forecast: Forecast) -> float:
    """Return how many seconds after what is expected the end may be."""
    assert forecast.ends_at is not None
    assert forecast.latest_at is not None
    return (forecast.latest_at - forecast.ends_at).total_seconds()


def forecast_of(*jobs: ForecastJob, edges: Any = (), **values: Any) -> Forecast:
    """Return the forecast of jobs after five that are done, with edges between their places."""
    placed = [(parent + len(HISTORY), child + len(HISTORY)) for parent, child in edges]
    return make_forecast(facts([*HISTORY, *jobs], placed, **values))


def test_jobs_in_a_row_end_one_after_the_other() -> None:
    jobs, edges = chain(*(waiting(f"sim {number}") for number in range(4)))
    assert left(forecast_of(*jobs, edges=edges)) == 4 * (RUN + WAIT)


def test_members_side_by_side_take_no_longer_than_one() -> None:
    members = [waiting(f"fc{number}") for number in range(30)]
    assert left(forecast_of(*members)) == RUN + WAIT


def test_a_limit_of_jobs_makes_others_wait() -> None:
    members = [waiting(f"fc{number}") for number in range(30)]
    assert left(forecast_of(*members, limits={"": Limit(total=10)})) == 3 * (RUN + WAIT)


def test_a_platform_has_a_limit_of_its_own() -> None:
    members = [waiting(f"fc{number}") for number in range(4)]
    assert left(forecast_of(*members, limits={"": Limit(total=1), "MN5": Limit(total=2)})) == 2 * (RUN + WAIT)


def test_a_limit_of_waiting_jobs_lets_the_next_be_sent_when_one_begins() -> None:
    members = [waiting(f"fc{number}") for number in range(3)]
    assert left(forecast_of(*members, limits={"": Limit(total=10, waiting=1)})) == 3 * WAIT + RUN


def test_a_running_job_takes_what_is_left_of_it() -> None:
    running = waiting("sim", status="RUNNING", submitted_at=NOW - 460, started_at=NOW - 400.0)
    assert left(forecast_of(running)) == RUN - 400


def test_a_running_job_whose_start_is_not_recorded_counts_from_when_it_was_seen() -> None:
    assert left(forecast_of(waiting("sim", status="RUNNING", active_since=NOW - 100.0))) == RUN - 100


def test_a_queued_job_waits_for_what_is_left_of_the_usual_time() -> None:
    assert left(forecast_of(waiting("sim", status="QUEUING", submitted_at=NOW - 20.0))) == WAIT - 20 + RUN


def test_the_jobs_of_a_wrapper_begin_when_the_one_before_ends() -> None:
    sent: dict[str, Any] = {"submitted_at": NOW - 1_000.0}
    jobs, edges = chain(
        waiting("1", status="RUNNING", started_at=NOW - 100.0, **sent), waiting("2", status="QUEUING", **sent)
    )
    assert left(forecast_of(*jobs, edges=edges)) == RUN - 100 + RUN


def test_the_time_of_a_wrapper_before_it_is_no_wait_of_a_job() -> None:
    first = done("1", submitted_at=NOW - 2_000, started_at=NOW - 1_900.0, finished_at=NOW - 1_300.0)
    second = done("2", submitted_at=NOW - 2_000, started_at=NOW - 1_300.0, finished_at=NOW - 700.0)
    jobs, edges = chain(first, second, waiting("3"))
    assert left(make_forecast(facts(jobs, edges))) == RUN + 100 / 2  # the first of two has waited


def test_what_autosubmit_takes_between_two_jobs_counts() -> None:
    parent, child = done("1", ago=3_000.0), done("2", ago=3_000.0 - RUN - WAIT - 30.0)
    jobs, edges = chain(parent, child, waiting("3"), waiting("4"))
    assert left(make_forecast(facts(jobs, edges))) == 2 * (30 + WAIT + RUN)


def test_jobs_that_are_often_tried_again_take_longer() -> None:
    tried = [job._replace(failures=1) for job in HISTORY]
    assert left(make_forecast(facts([*tried, waiting("sim")], []))) == 2 * (WAIT + RUN)


def test_recent_jobs_count_and_not_those_of_long_ago() -> None:
    slow = [done(f"old {number}", ago=1e6 + number, started_at=NOW - 1e6 - 9_000.0) for number in range(30)]
    recent = [done(f"new {number}", ago=float(number)) for number in range(20)]
    assert left(make_forecast(facts([*slow, *recent, waiting("sim")], []))) == WAIT + RUN


def test_one_night_in_a_queue_is_not_what_the_next_jobs_wait() -> None:
    night = done("night", submitted_at=NOW - 40_000.0)
    assert left(make_forecast(facts([*HISTORY, night, waiting("sim")], []))) < RUN + 4 * WAIT


def test_the_range_is_narrower_the_more_was_measured() -> None:
    few = make_forecast(facts([done("0"), waiting("sim")], []))
    assert lateness(few) > 3 * lateness(forecast_of(waiting("sim")))


def test_a_section_that_was_never_measured_is_guessed_and_named() -> None:
    found = forecast_of(waiting("post", "POST", wallclock=3_600.0))
    assert (found.unmeasured, left(found)) == (["POST"], 900 + WAIT)
    assert lateness(found) > 2_700  # the whole of its wallclock
    assert "Never measured, so guessed from the wallclock: POST." in found.basis


def test_what_was_measured_before_a_reset_is_remembered() -> None:
    before = forecast_of(waiting("sim"))
    reset = [waiting(job.name) for job in HISTORY]
    found = make_forecast(facts(reset, [], remembered=before.durations))
    assert (found.recalled, found.unmeasured, left(found)) == (["SIM"], [], RUN)


def test_a_way_that_was_never_measured_ends_at_most_with_its_wallclocks_and_does_not_slide() -> None:
    for elapsed in (20.0, 600.0, 3_500.0):
        running = waiting("long", "LONG", status="RUNNING", active_since=NOW - elapsed, wallclock=3_600.0)
        jobs, edges = chain(running, waiting("after", "AFTER", wallclock=300.0))
        found = make_forecast(facts(jobs, edges))
        assert (found.is_bound, found.latest_at) == (True, found.made_at + timedelta(seconds=3_900 - elapsed))
    assert not forecast_of(waiting("sim")).is_bound


@pytest.mark.parametrize("status", ["WAITING", "QUEUING", "RUNNING"])
def test_there_is_none_while_nothing_is_known_of_the_section_of_a_first_run(status: str) -> None:
    long = waiting("long", "LONG", status=status, active_since=NOW - 900.0)
    jobs, edges = chain(long, waiting("after", "AFTER", wallclock=300.0))
    assert make_forecast(facts(jobs, edges)).why_not == "Nothing is known of LONG yet: no job of it has ended."


def test_there_is_none_while_nothing_is_known_of_most_of_the_way() -> None:
    jobs, edges = chain(*(waiting(f"long {number}", "LONG") for number in range(8)), waiting("sim"))
    assert "of LONG yet" in forecast_of(*jobs, edges=edges).why_not


def test_there_is_none_while_a_job_runs_for_longer_than_its_wallclock() -> None:
    running = waiting("over", "OVER", status="RUNNING", started_at=NOW - 61.0, wallclock=60.0)
    jobs, edges = chain(running, waiting("after", "AFTER", wallclock=300.0))
    found = make_forecast(facts(jobs, edges))
    assert (found.ends_at, found.why_not) == (None, "over runs for longer than all that was expected of it.")


@pytest.mark.parametrize(("elapsed", "is_told"), [(1.1 * RUN, True), (1.2 * RUN, False)])
def test_there_is_none_while_a_job_runs_for_far_longer_than_the_others_of_its_section(
    elapsed: float, *, is_told: bool
) -> None:
    running = waiting("sim", status="RUNNING", started_at=NOW - elapsed)
    assert (forecast_of(running).ends_at is not None) == is_told


def test_a_job_that_runs_for_too_long_beside_a_longer_way_is_no_obstacle() -> None:
    running = waiting("sim", status="RUNNING", started_at=NOW - 2 * RUN)
    assert left(forecast_of(running, waiting("other"))) == RUN + WAIT


def test_a_section_without_a_measure_and_a_wallclock_is_no_obstacle_for_others() -> None:
    jobs, edges = chain(waiting("sim"), waiting("post", "POST"))
    found = forecast_of(*jobs, edges=edges)
    assert (left(found), found.unmeasured) == (RUN + 2 * WAIT, ["POST"])


def test_a_suspended_job_is_a_condition_that_says_how_many_wait_for_it() -> None:
    jobs, edges = chain(waiting("sim", status="SUSPENDED"), waiting("post"), waiting("clean"))
    found = forecast_of(*jobs, edges=edges)
    assert found.condition == "It ends only if sim (SUSPENDED) can go on; 2 jobs wait for that."
    assert (left(found), found.blocked) == (3 * (RUN + WAIT), None)


def test_a_run_with_a_failed_job_stops_when_nothing_else_can_go_on_and_says_how_many_stay_blocked() -> None:
    failed, edges = chain(waiting("sim", status="FAILED"), waiting("post"), waiting("clean"))
    other = waiting("other", status="RUNNING", started_at=NOW - 400.0)
    found = forecast_of(*failed, other, edges=edges)
    form = "The run stops without finishing: sim (FAILED) cannot go on; 2 jobs wait for that."
    assert (found.condition, found.blocked) == (form, 2)
    assert (left(found), found.jobs_left) == (RUN - 400, 4)


def test_when_a_run_stops_does_not_move_while_time_goes_by() -> None:
    failed, edges = chain(waiting("sim", status="FAILED"), waiting("post"))
    stops = set()
    for elapsed in (0.0, 15.0, 30.0):
        jobs = [*HISTORY, *failed, waiting("other", status="RUNNING", started_at=NOW - 400.0)]
        placed = [(parent + len(HISTORY), child + len(HISTORY)) for parent, child in edges]
        stops.add(make_forecast(facts(jobs, placed, now=NOW + elapsed)).ends_at)
    assert len(stops) == 1


def test_a_run_in_which_nothing_can_go_on_any_more_stops_now() -> None:
    jobs, edges = chain(waiting("sim", status="FAILED"), waiting("post"))
    assert left(forecast_of(*jobs, edges=edges)) == 0


def test_a_failed_job_that_nobody_waits_for_blocks_nothing() -> None:
    found = forecast_of(waiting("post", status="FAILED"), waiting("sim"))
    assert (found.condition, found.blocked) == ("The run ends without post (FAILED), which cannot go on.", 0)


def test_a_job_that_is_held_besides_a_failed_one_is_told_too() -> None:
    found = forecast_of(waiting("post", status="FAILED"), waiting("sim", status="HELD"))
    assert found.condition.endswith("cannot go on. It ends only if sim (HELD) can go on.")


def test_the_way_to_the_end_is_counted_by_section() -> None:
    jobs, edges = chain(waiting("1"), waiting("2"), waiting("post", "POST", wallclock=60.0))
    found = forecast_of(*jobs, waiting("other"), edges=edges)
    assert found.path == {"SIM": 2, "POST": 1}
    assert found.basis.startswith("5 jobs are measured. The longest way to the end: 2 SIM, 1 POST.")


def test_the_rate_counts_what_was_done_in_this_run() -> None:
    assert forecast_of(waiting("sim"), began_at=NOW - 1_800.0).rate == 6.0  # three in half an hour


@pytest.mark.parametrize("began_ago", [30.0, 1_000_000.0])
def test_there_is_no_rate_before_there_is_a_fair_base(began_ago: float) -> None:
    job = done("1", ago=10.0)
    assert make_forecast(facts([job, waiting("sim")], [], began_at=NOW - began_ago)).rate is None


def test_the_rate_of_a_run_whose_beginning_is_not_known_counts_from_its_first_job() -> None:
    jobs = [done("1"), done("2", ago=RUN), waiting("sim")]
    assert make_forecast(facts(jobs, [])).rate == 6.0  # two in twenty minutes


@pytest.mark.parametrize(
    ("values", "why_not"),
    [
        ({"is_running": False}, module.NOTHING_RUNS),
        ({"halted": "The process is stopped."}, "The process is stopped."),
        ({"total": 0}, module.NO_JOBS),
        ({"total": 200_001}, "There are more than 200,000 jobs."),
        ({"edges": None}, module.NO_EDGES),
        ({"edges": [(0, 1), (1, 0)]}, module.IN_CIRCLE),
        ({"jobs": [waiting("sim"), waiting("post")]}, module.NOTHING_MEASURED),
    ],
)
def test_there_is_no_forecast_and_it_says_why(values: dict[str, Any], why_not: str) -> None:
    jobs = [waiting("sim", wallclock=60.0), waiting("post")]
    found = make_forecast(facts(**{"jobs": jobs, "edges": [], **values}))
    assert (found.ends_at, found.why_not) == (None, why_not)


def test_a_run_without_jobs_left_ends_now() -> None:
    assert left(forecast_of()) == 0


def test_a_forecast_is_read_as_it_was_told_also_with_other_fields() -> None:
    found = forecast_of(waiting("sim"))
    assert read_forecast(tell_forecast(found) | {"of_another_version": 1}) == found


def test_a_row_of_ten_thousand_jobs_is_no_harder_than_others() -> None:
    jobs, edges = chain(*(waiting(f"{number}") for number in range(10_000)))
    assert left(forecast_of(*jobs, edges=edges)) == 10_000 * (RUN + WAIT)
