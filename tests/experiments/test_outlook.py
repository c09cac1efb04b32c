"""Forecasts as the mirror makes and keeps them."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from experiments.attention.alarm import Alarm
from experiments.forecast.facts import Limit
from experiments.forecast.forecast import NO_EDGES, NOT_MADE, NOTHING_RUNS, Forecast
from experiments.mirror import observe, outlook, sync
from experiments.mirror.observe import Look
from experiments.mirror.outlook import Outlook, is_news, read_facts
from experiments.mirror.sightings import Sighting
from experiments.models import Experiment
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
FORECAST = Forecast(made_at=NOW, ends_at=NOW + 100 * MINUTE, jobs_left=3, rate=2.0)


@pytest.fixture
def experiment() -> Experiment:
    """An experiment that runs: a job is done that took ten minutes, and one waits for it."""
    began = timezone.now() - 60 * MINUTE
    experiment = factories.create_experiment(is_running=True, run_began_at=began)
    times: dict[str, Any] = {"submitted_at": began, "started_at": began + MINUTE, "finished_at": began + 11 * MINUTE}
    first = factories.create_job(experiment, status="COMPLETED", section="SIM", platform="mn5", **times)
    second = factories.create_job(experiment, status="WAITING", section="SIM", platform="mn5")
    factories.create_dependency(first, second)
    return experiment


def keep(experiment: Experiment, known: Outlook | None = None, *alarms: Alarm, **values: Any) -> Forecast:
    """Change the row and make the forecasts that are due; return that of the experiment."""
    Experiment.objects.filter(pk=experiment.pk).update(**values)
    (known or Outlook()).keep([(Experiment.objects.get(pk=experiment.pk), alarms)])
    return Experiment.objects.get(pk=experiment.pk).current_forecast


def test_the_end_of_a_run_is_kept(experiment: Experiment) -> None:
    found = keep(experiment)
    assert found.ends_at is not None
    assert abs(found.ends_at - found.made_at - 11 * MINUTE) < timedelta(seconds=2)
    assert (found.measured, found.jobs_left) == (1, 1)


def test_plans_and_limits_of_the_configuration_count(experiment: Experiment) -> None:
    Experiment.objects.update(
        plans={"POST": {"platform": "MN5", "processors": "4", "wallclock": "01:00"}},
        limits={"": {"total": 20}, "MN5": {"total": 6, "waiting": 3}},
    )
    factories.create_job(experiment, status="WAITING", section="POST")
    facts = read_facts(Experiment.objects.get())
    assert facts.limits == {"": Limit(20, None), "MN5": Limit(6, 3)}
    assert [(job.platform, job.wallclock) for job in facts.jobs] == [("MN5", None), ("MN5", None), ("MN5", 3_600)]
    assert facts.edges == [(0, 1)]


def test_a_run_whose_edges_are_not_known_has_no_forecast(experiment: Experiment) -> None:
    assert keep(experiment, are_edges_known=False).why_not == NO_EDGES


def test_a_run_that_does_nothing_has_no_forecast_and_its_jobs_are_not_read(experiment: Experiment) -> None:
    alarm = Alarm(rule="stopped", sentence="It is stopped by a signal.", evidence="", since=NOW)
    with CaptureQueriesContext(connection) as captured:
        assert keep(experiment, None, alarm).why_not == "It is stopped by a signal."
    assert not [query for query in captured if "jobs_job" in query["sql"]]


def test_there_is_none_before_the_first_look_and_after_the_end(experiment: Experiment) -> None:
    assert experiment.current_forecast.why_not == NOT_MADE
    experiment.is_running = False
    assert experiment.current_forecast.why_not == NOTHING_RUNS


def test_what_was_said_of_the_run_before_is_not_said_of_this_one(experiment: Experiment) -> None:
    keep(experiment)
    Experiment.objects.update(run_began_at=timezone.now() + MINUTE)
    assert Experiment.objects.get().current_forecast.why_not == NOT_MADE


@pytest.mark.parametrize("look", [sync.look_alive, None])
def test_a_run_that_begins_again_has_none_until_it_is_made_for_it(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, look: Any
) -> None:
    learned = keep(experiment).durations
    alive = Sighting(is_running=True, pid=7, evidence="process 7 on node holds the lock")
    monkeypatch.setattr(observe, "look_at", lambda *_: Look([], None, "", alive))
    Experiment.objects.update(is_running=False)
    (look or (lambda row: sync.say_unreadable(row, alive, "It is cut off.")))(experiment)
    found = Experiment.objects.get()
    assert (found.is_running, found.current_forecast.why_not) == (True, NOT_MADE)
    assert found.current_forecast.durations == learned != {}


def test_it_is_not_made_again_while_nothing_has_changed(experiment: Experiment) -> None:
    known = Outlook()
    keep(experiment, known)
    with CaptureQueriesContext(connection) as captured:
        known.keep([(Experiment.objects.get(), ())])
    assert not [query for query in captured if "jobs_job" in query["sql"]]


def test_it_is_made_again_when_a_file_has_changed_and_a_pause_is_over(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "LEAST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(outlook, "TIMES_COST", 0.0)
    monkeypatch.setattr(outlook, "TIMES_REST", 0.0)
    known = Outlook()
    keep(experiment, known)
    experiment.jobs.update(status="COMPLETED")
    assert keep(experiment, known, refreshed_at=timezone.now()).jobs_left == 0


def test_what_there_was_no_time_for_comes_first_in_the_next_pass(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = factories.create_experiment(experiment.site, is_running=True)
    known = Outlook(is_patient=False)
    rows = [(row, ()) for row in Experiment.objects.order_by("pk")]
    known.keep(rows[:1])
    Experiment.objects.update(forecast={})
    monkeypatch.setattr(outlook, "MOST_SECONDS", 1e-9)
    known.keep(rows)
    assert [row.pk for row in Experiment.objects.exclude(forecast={})] == [other.pk]


@pytest.mark.parametrize(("times", "made"), [(math.inf, 1), (0.0, 2)])
def test_between_forecasts_that_take_long_there_is_time_for_else(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, times: float, made: int
) -> None:
    factories.create_experiment(experiment.site, is_running=True)
    monkeypatch.setattr(outlook, "MOST_SECONDS", 1e-9)
    monkeypatch.setattr(outlook, "TIMES_REST", times)
    known = Outlook()
    known.keep([(row, ()) for row in Experiment.objects.all()])
    assert Experiment.objects.exclude(forecast={}).count() == 1
    known.go_on()
    assert Experiment.objects.exclude(forecast={}).count() == made


@pytest.mark.parametrize(
    ("changed", "is_told"),
    [
        ({}, False),
        ({"made_at": NOW + MINUTE, "rate": 3.0}, False),
        ({"ends_at": NOW + 102 * MINUTE}, False),
        ({"ends_at": NOW + 110 * MINUTE}, True),
        ({"ends_at": None}, True),
        ({"jobs_left": 2}, True),
        ({"condition": "It ends only if"}, True),
    ],
)
def test_an_end_that_hardly_moves_is_no_news(changed: dict[str, Any], *, is_told: bool) -> None:
    assert is_news(FORECAST, replace(FORECAST, **changed)) is is_told


def test_a_page_asks_nothing_for_a_forecast(experiment: Experiment) -> None:
    keep(experiment)
    row = Experiment.objects.get()
    with CaptureQueriesContext(connection) as captured:
        assert row.current_forecast.ends_at
    assert not captured.captured_queries
