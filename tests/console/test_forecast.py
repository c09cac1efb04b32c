"""The forecast on the page of an experiment."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from experiments.forecast.forecast import Forecast, tell_forecast
from experiments.models import Experiment
from tests.console.pages import page_of, text_of

AT = datetime(2031, 7, 1, 12, 0, tzinfo=UTC)


def show(client: Client, experiment: Experiment, **values: Any) -> str:
    """Return the page of an experiment of whose run that is forecast."""
    told = tell_forecast(Forecast(made_at=timezone.now(), **values))
    Experiment.objects.filter(pk=experiment.pk).update(is_running=True, forecast=told)
    return text_of(client.get(page_of("experiments_experiment", experiment.pk)))


def test_the_page_says_when_between_when_and_what_it_rests_on(as_viewer: Client, experiment: Experiment) -> None:
    ends = {"ends_at": AT, "earliest_at": AT.replace(hour=9), "latest_at": AT.replace(hour=17)}
    page = show(as_viewer, experiment, **ends, measured=1_312, path={"SIM": 24}, unmeasured=["<POST>"])
    assert "four in five end between 2031-07-01 09:00 UTC and 2031-07-01 17:00 UTC" in page
    assert "1,312 jobs are measured. The longest way to the end: 24 SIM." in page
    assert "guessed from the wallclock: &lt;POST&gt;." in page


def test_the_page_says_on_what_condition(as_viewer: Client, experiment: Experiment) -> None:
    page = show(as_viewer, experiment, ends_at=AT, earliest_at=AT, latest_at=AT, condition="It ends only if it can.")
    assert "It ends only if it can." in page
    assert "with a condition" in page


def test_the_page_says_when_a_run_stops_and_how_many_jobs_stay_blocked(
    as_viewer: Client, experiment: Experiment
) -> None:
    told = {"ends_at": AT, "earliest_at": AT, "latest_at": AT, "condition": "The run stops without finishing."}
    page = show(as_viewer, experiment, **told, blocked=7)
    assert re.search(r"stops <time .*, <span title=\"The run stops without finishing.\">7 jobs blocked</span>", page)
    assert "<dt>Expected stop</dt>" in page


def test_the_page_says_at_most_until_when_where_only_wallclocks_are_known(
    as_viewer: Client, experiment: Experiment
) -> None:
    told = {"ends_at": AT, "earliest_at": AT, "latest_at": AT.replace(hour=17)}
    page = show(as_viewer, experiment, **told, path={"LONG": 1}, unmeasured=["LONG", "AFTER"])
    assert re.search(r"ends <time [^>]*2031-07-01T17:00:00[^>]*>[^<]*</time> at most", page)
    assert "2031-07-01 12:00" not in page


def test_the_page_says_why_there_is_none(as_viewer: Client, experiment: Experiment) -> None:
    assert "No forecast. It is stopped." in show(as_viewer, experiment, why_not="It is stopped.")


@pytest.mark.usefixtures("db")
def test_what_does_not_run_has_none(as_viewer: Client, experiment: Experiment) -> None:
    show(as_viewer, experiment, ends_at=AT, earliest_at=AT, latest_at=AT)
    Experiment.objects.update(is_running=False)
    assert "Expected end" not in text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
