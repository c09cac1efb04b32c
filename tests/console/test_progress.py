"""The progress of an experiment over time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from autosubmit_portal.console.parts.progress_line import COLUMNS, Progress, make_progress
from experiments.models import Experiment
from tests.console.pages import page_of, text_of
from tests.support import factories

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 25, 10, tzinfo=UTC)


def end(experiment: Experiment, *minutes: int, status: str = "COMPLETED") -> None:
    """Have jobs that were submitted at the start end after so many minutes."""
    for number in minutes:
        at = START + timedelta(minutes=number)
        factories.create_job(experiment, status=status, submitted_at=START, finished_at=at)


def measure(experiment: Experiment, total: int = 4) -> Progress:
    """Return the progress, which there must be."""
    progress = make_progress(experiment.jobs.all(), total)
    assert progress is not None
    return progress


def test_completed_jobs_are_counted_up_to_the_last_one(experiment: Experiment) -> None:
    end(experiment, 30, 60, 60)
    progress = measure(experiment)
    assert (progress.done[0], progress.done[COLUMNS // 2], progress.done[-1]) == (0, 1, 3)
    assert progress.begin == START
    assert [done for _, done in progress.list_steps()] == [1, 3]


def test_failed_jobs_are_no_progress(experiment: Experiment) -> None:
    end(experiment, 30)
    end(experiment, 60, status="FAILED")
    assert measure(experiment).done[-1] == 1


def test_jobs_that_all_ended_at_once_are_progress_too(experiment: Experiment) -> None:
    end(experiment, 0, 0)
    assert measure(experiment).done[-1] == 2


def test_without_a_time_there_is_no_progress_to_show(experiment: Experiment) -> None:
    factories.create_job(experiment, status="COMPLETED")
    assert make_progress(experiment.jobs.all(), 1) is None


def test_the_area_is_as_high_as_the_part_of_all_jobs(experiment: Experiment) -> None:
    end(experiment, 30)
    assert measure(experiment, total=4).outline.endswith(" 600.0,45.0 600,60 0,60")


def test_the_page_of_an_experiment_shows_it_with_a_table(as_viewer: Client, experiment: Experiment) -> None:
    end(experiment, 30)
    Experiment.objects.update(total_jobs=4, status_counts={"COMPLETED": 1, "WAITING": 3})
    page = text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
    assert "1 of 4 jobs were completed." in page
    assert "Table of completed jobs over time" in page
