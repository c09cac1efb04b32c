"""The page of how an experiment performs."""

import csv
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from autosubmit_portal.console.pages import performance
from autosubmit_portal.console.parts.chunk_bars import HEIGHT, MOST_BARS, WIDTH, ChunkBars
from experiments.autosubmit.store import BrokenStore
from experiments.models import Experiment
from experiments.performance.costs import Cost, count_sections, group_attempts
from experiments.performance.metrics import ListedJob, compute_metrics
from experiments.performance.settings import SimulationSettings
from experiments.performances import Performance
from jobs.autosubmit.history import PastAttempt, UnreadableHistory
from jobs.autosubmit.user_metrics import MetricRecord, UnreadableMetrics
from tests.console.pages import text_of

SETTINGS = SimulationSettings(elements=100, platform="MN5", years=0.5)


def perform(number: int, trouble: str = "") -> Performance:
    """Return how an experiment performs that has completed so many chunks, each in half a day, and a <POST>."""
    jobs = [ListedJob(f"a000_{chunk}_SIM", "SIM", "COMPLETED", chunk) for chunk in range(1, number + 1)]
    attempts = group_attempts(PastAttempt(job.name, 1, "COMPLETED", 1, 3_601, 46_801, 4, 0) for job in jobs)
    jobs.append(ListedJob("a000_POST", "<POST>", "WAITING"))
    newest = {name: of_job[-1] for name, of_job in attempts.items()}
    metrics = compute_metrics(jobs, newest, SETTINGS, {})
    return Performance(jobs, attempts, SETTINGS, metrics, count_sections(jobs, attempts), trouble)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Performance]:
    """What the agent and the mirror tell of the experiment."""
    told = [perform(3)]
    monkeypatch.setattr(performance, "read_performance", lambda _: told[-1])
    return told


def show(client: Client, experiment: Experiment, **query: Any) -> str:
    """Return the page."""
    answer = client.get(reverse("admin:experiments_experiment_performance", args=[experiment]), query)
    assert answer.status_code == 200
    return text_of(answer)


@pytest.mark.usefixtures("found")
def test_each_metric_has_its_formula(as_viewer: Client, experiment: Experiment) -> None:
    page = show(as_viewer, experiment)
    assert "Σ years × 86,400 / Σ run" in page
    assert ">1.00" in page  # SYPD: half a year in half a day
    assert "of 3 completed SIM jobs on MN5" in page


@pytest.mark.usefixtures("found")
def test_what_cannot_be_computed_says_why(as_viewer: Client, experiment: Experiment) -> None:
    assert "No TRANSFER or CLEAN job is completed, so there is no RSYPD." in show(as_viewer, experiment)


@pytest.mark.usefixtures("found")
def test_the_picture_has_a_table_of_the_same_beside_it(as_viewer: Client, experiment: Experiment) -> None:
    page = show(as_viewer, experiment)
    assert page.count('class="chunk-run"') == page.count('class="chunk-queue"') == 3
    assert 'aria-label="Time of 3 chunks of SIM: a job runs between 43,200 and 43,200 seconds."' in page
    assert "12 h 00 min" in page


@pytest.mark.usefixtures("found")
def test_another_section_is_chosen_by_the_address(as_viewer: Client, experiment: Experiment) -> None:
    page = show(as_viewer, experiment, section="<POST>")
    assert "&lt;POST&gt; from chunk to chunk" in page
    assert "No completed job of this section is measured yet." in page
    assert "SIM from chunk to chunk" in show(as_viewer, experiment, section="unknown")


def test_long_lists_have_pages(as_viewer: Client, experiment: Experiment, found: list[Performance]) -> None:
    found.append(perform(120))
    page = show(as_viewer, experiment, p="2", s="3")
    assert "Page 2 of 3" in page
    assert "Page 3 of 3" in page


def test_a_configuration_that_cannot_be_read_is_told_beside_the_times(
    as_viewer: Client, experiment: Experiment, found: list[Performance]
) -> None:
    found.append(perform(1, "The file <x> is broken."))
    page = show(as_viewer, experiment)
    assert "The file &lt;x&gt; is broken." in page
    assert "a000_1_SIM" in page


def test_a_history_that_cannot_be_read_is_told(
    as_viewer: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Experiment) -> Performance:
        raise BrokenStore("The host is away.")

    monkeypatch.setattr(performance, "read_performance", fail)
    assert "The host is away." in show(as_viewer, experiment)


def test_the_bars_of_very_many_chunks_fit_and_show_the_longest() -> None:
    chunks = [Cost(str(number), runs=[10 + number], queues=[5]) for number in range(1_000)]
    bars = [*ChunkBars(chunks, "SIM").list_bars()]
    assert len(bars) == 2 * 200 <= 2 * MOST_BARS
    assert max(bar.x + bar.width for bar in bars) <= WIDTH
    assert min(bar.y for bar in bars) == pytest.approx(0, abs=0.01)
    assert max(bar.y + bar.height for bar in bars) == pytest.approx(HEIGHT, abs=0.02)
    assert bars[-1].title == "999: run 1,009 s"


def test_a_section_that_nothing_is_known_of_has_no_bars() -> None:
    empty = ChunkBars([Cost("1")], "SIM")
    assert ([*empty.list_bars()], empty.top, empty.summary) == ([], 0, "No chunk of SIM is measured.")


@pytest.mark.usefixtures("found")
def test_what_sections_and_chunks_took_is_had_as_csv(as_viewer: Client, experiment: Experiment) -> None:
    address = reverse("admin:experiments_experiment_performance", args=[experiment])
    answer = as_viewer.get(address, {"format": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="a000-performance.csv"'
    rows = [*csv.DictReader(answer.getvalue().decode().splitlines())]
    assert [(row["section"], row["chunk"], row["completed"], row["run_seconds"]) for row in rows] == [
        ("SIM", "", "3", "43200"),
        *(("SIM", chunk, "1", "43200") for chunk in "123"),
        ("<POST>", "", "0", "0.0"),
    ]


def test_a_history_that_cannot_be_read_is_no_csv(
    as_viewer: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Experiment) -> Performance:
        raise UnreadableHistory("The history is broken.")

    monkeypatch.setattr(performance, "read_performance", fail)
    assert "The history is broken." in show(as_viewer, experiment, format="csv")


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[MetricRecord]]:
    """What the jobs of each run reported."""
    told = {
        2: [MetricRecord("a000_SIM", "sypd", "=13", "2026-11-25"), MetricRecord("a000_POST", "<b>", "x" * 900, "")],
        1: [MetricRecord("a000_SIM", "sypd", "12.5", "2026-11-24")],
    }
    monkeypatch.setattr(performance, "read_metric_runs", lambda _: [*told])
    monkeypatch.setattr(performance, "read_metrics", lambda _, run: told.get(run, []))
    return told


def show_metrics(client: Client, experiment: Experiment, **query: Any) -> str:
    """Return the page of the user metrics."""
    answer = client.get(reverse("admin:experiments_experiment_user-metrics", args=[experiment]), query)
    assert answer.status_code == 200
    return text_of(answer)


@pytest.mark.usefixtures("metrics")
def test_user_metrics_are_those_of_the_newest_run_that_has_some(as_viewer: Client, experiment: Experiment) -> None:
    page = show_metrics(as_viewer, experiment)
    assert "User metrics of run 2" in page
    assert "=13" in page
    assert "12.5" not in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "x" * 199 + "…" in page


@pytest.mark.usefixtures("metrics")
def test_user_metrics_of_another_run_are_chosen_by_the_address(as_viewer: Client, experiment: Experiment) -> None:
    assert "12.5" in show_metrics(as_viewer, experiment, run="1")
    assert "No job has reported a metric in this run." in show_metrics(as_viewer, experiment, run="7")
    assert "User metrics of run 2" in show_metrics(as_viewer, experiment, run="no number")


@pytest.mark.usefixtures("metrics")
def test_user_metrics_are_found_by_job_and_by_metric(as_viewer: Client, experiment: Experiment) -> None:
    assert "a000_POST" not in show_metrics(as_viewer, experiment, q="SYPD")
    assert "a000_SIM" not in show_metrics(as_viewer, experiment, q="post")
    assert "No job and no metric has “&lt;i&gt;” in its name." in show_metrics(as_viewer, experiment, q="<i>")


@pytest.mark.usefixtures("metrics")
def test_user_metrics_are_had_as_csv_that_is_no_formula(as_viewer: Client, experiment: Experiment) -> None:
    address = reverse("admin:experiments_experiment_user-metrics", args=[experiment])
    rows = [*csv.DictReader(as_viewer.get(address, {"format": "csv"}).getvalue().decode().splitlines())]
    assert [row["metric_value"][:4] for row in rows] == ["'=13", "xxxx"]


def test_long_lists_of_user_metrics_have_pages_that_keep_what_was_asked(
    as_viewer: Client, experiment: Experiment, metrics: dict[int, list[MetricRecord]]
) -> None:
    metrics[1] = 120 * metrics[1]
    page = show_metrics(as_viewer, experiment, run="1", q="sypd", p="2")
    assert "Page 2 of 3" in page
    assert 'href="?run=1&amp;q=sypd&amp;p=3"' in page


def test_user_metrics_that_cannot_be_read_say_why(
    as_viewer: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Experiment) -> list[int]:
        raise UnreadableMetrics("The file is a pipe.")

    monkeypatch.setattr(performance, "read_metric_runs", fail)
    assert "The file is a pipe." in show_metrics(as_viewer, experiment)
    assert "The file is a pipe." in show_metrics(as_viewer, experiment, format="csv")
