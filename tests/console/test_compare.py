"""The page that compares two runs."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from experiments import run_comparisons
from experiments.autosubmit.shown_configuration import ShownConfiguration
from experiments.autosubmit.store import BrokenStore
from experiments.logs import Logs
from experiments.models import Action, Experiment, Run, State
from experiments.performance.costs import group_attempts
from experiments.performance.metrics import ListedJob, compute_metrics
from experiments.performance.settings import SimulationSettings
from experiments.performances import Performance
from jobs.autosubmit.history import PastAttempt
from jobs.autosubmit.logs.reader import LogFile
from tests.console.pages import text_of
from tests.support import factories

BEGAN = datetime(2026, 11, 20, 8, tzinfo=UTC)
DAY = timedelta(days=1)


class Told:
    """What the agent tells: by experiment the attempts as (job, run, status, seconds); configurations by run."""

    def __init__(self) -> None:
        self.attempts: dict[str, list[tuple[str, int, str, int]]] = {}
        self.configurations: dict[int, dict[str, Any]] = {}
        self.logs: list[LogFile] = []

    def read_performance(self, experiment: Experiment) -> Performance:
        rows = self.attempts.get(experiment.expid, [])
        names = dict.fromkeys(name for name, *_ in rows)
        jobs = [ListedJob(f"{experiment.expid}_{name}", name.rpartition("_")[2], "WAITING") for name in names]
        attempts = group_attempts(
            PastAttempt(f"{experiment.expid}_{name}", run, status, 1_000, 1_060, 1_060 + seconds, 1, 0)
            for name, run, status, seconds in rows
        )
        return Performance(
            jobs, attempts, SimulationSettings(), compute_metrics(jobs, {}, SimulationSettings(), {}), []
        )

    def read_configuration(self, experiment: Experiment, run_id: int) -> ShownConfiguration:
        return ShownConfiguration(self.configurations.get(run_id, {}), [])


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What the agent tells."""
    made = Told()
    made.attempts["a000"] = [
        *(("1_SIM", 1, "COMPLETED", 3_600), ("2_SIM", 1, "COMPLETED", 3_600)),
        *(("1_SIM", 2, "COMPLETED", 7_200), ("2_SIM", 2, "FAILED", 60)),
    ]
    monkeypatch.setattr(run_comparisons, "read_performance", made.read_performance)
    monkeypatch.setattr(run_comparisons, "read_configuration_of_run", made.read_configuration)
    monkeypatch.setattr(Logs, "list_files", lambda _: made.logs)
    return made


@pytest.fixture
def runs(experiment: Experiment) -> list[Run]:
    """Two runs, a day apart; the second failed."""
    first: dict[str, Any] = {"completed": 2, "total": 2, "finished_at": BEGAN + timedelta(hours=3)}
    second: dict[str, Any] = {"completed": 1, "failed": 1, "total": 2}
    return [
        factories.create_run(experiment, run_id=number, started_at=BEGAN + number * DAY, **values)
        for number, values in enumerate((first, second), 1)
    ]


def ask(client: Client, experiment: Experiment, **query: Any) -> Any:
    return client.get(reverse("admin:experiments_experiment_compare", args=[experiment]), query)


def show(client: Client, experiment: Experiment, **query: Any) -> str:
    answer = ask(client, experiment, **query)
    assert answer.status_code == 200
    return text_of(answer)


def start_run(experiment: Experiment, **values: Any) -> Action:
    """Create a run that was asked for at a time: that is written afterwards, as the row is stamped when it is made."""
    at = values.pop("at")
    values = {"kind": "run", "state": State.SUCCEEDED, "started_at": at, "ended_at": at + DAY / 2} | values
    action = factories.create_action(experiment, **values)
    Action.objects.filter(pk=action.pk).update(requested_at=at)
    return action


@pytest.mark.usefixtures("runs")
def test_the_last_two_runs_are_compared_by_default(as_viewer: Client, experiment: Experiment) -> None:
    page = show(as_viewer, experiment)
    assert "1 failed, 1 of 2 completed" in page
    assert "<td>completed</td>" in page
    assert "That ended otherwise (1)" in page
    assert "All (2)" in page


@pytest.mark.usefixtures("runs")
def test_the_page_of_the_experiment_leads_there(as_viewer: Client, experiment: Experiment) -> None:
    address = reverse("admin:experiments_experiment_compare", args=[experiment])
    assert f'href="{address}"' in text_of(
        as_viewer.get(reverse("admin:experiments_experiment_change", args=[experiment]))
    )


@pytest.mark.usefixtures("runs")
def test_the_jobs_that_differ_are_shown_until_all_are_asked_for(as_viewer: Client, experiment: Experiment) -> None:
    assert ">1_SIM</a>" not in show(as_viewer, experiment)
    assert ">2_SIM</a>" in show(as_viewer, experiment)
    assert ">1_SIM</a>" in show(as_viewer, experiment, jobs="all")


@pytest.mark.usefixtures("runs")
def test_jobs_that_took_much_longer_are_found_though_they_ended_alike(
    as_viewer: Client, experiment: Experiment
) -> None:
    page = show(as_viewer, experiment, jobs="times")
    assert "That took a fifth longer or shorter (1)" in page
    assert ">1_SIM</a>" in page


@pytest.mark.usefixtures("runs")
def test_sections_say_by_how_much_they_took_longer(as_viewer: Client, experiment: Experiment) -> None:
    assert "+1 h 00 min" in show(as_viewer, experiment)


@pytest.mark.usefixtures("runs")
def test_jobs_are_chosen_by_section(as_viewer: Client, experiment: Experiment, told: Told) -> None:
    told.attempts["a000"].append(("POST", 2, "COMPLETED", 5))
    page = show(as_viewer, experiment, section="POST", jobs="all")
    assert ">POST</a></th>" in page
    assert ">2_SIM</a>" not in page


@pytest.mark.usefixtures("runs")
def test_ten_thousand_jobs_have_pages(as_viewer: Client, experiment: Experiment, told: Told) -> None:
    told.attempts["a000"] = [(f"{number}_SIM", 2, "FAILED", 5) for number in range(10_000)]
    page = show(as_viewer, experiment, p="3")
    assert "Page 3 of 200" in page
    assert page.count("_SIM</a></th>") == 50


@pytest.mark.usefixtures("runs")
def test_the_jobs_are_also_csv(as_viewer: Client, experiment: Experiment) -> None:
    answer = ask(as_viewer, experiment, format="csv")
    rows = [*csv.DictReader(answer.getvalue().decode().splitlines())]
    assert [(row["job"], row["second_status"], row["differs"]) for row in rows] == [
        ("1_SIM", "COMPLETED", "False"),
        ("2_SIM", "FAILED", "True"),
    ]
    assert 'filename="a000-run-1-a000-run-2.csv"' in answer["Content-Disposition"]


def test_what_started_a_run_is_told_with_its_command(
    as_viewer: Client, experiment: Experiment, runs: list[Run]
) -> None:
    for number, run in enumerate(runs, 1):
        at = (run.started_at or BEGAN) - timedelta(seconds=20)
        start_run(experiment, at=at, actor_name=f"person{number}", command=[["autosubmit", "run", f"a00{number}"]])
    page = show(as_viewer, experiment)
    assert page.index("autosubmit run a001") < page.index("autosubmit run a002")
    assert page.count("person1") == page.count("person2") == 1


@pytest.mark.usefixtures("runs")
def test_a_run_that_was_started_outside_of_the_portal_is_told(as_viewer: Client, experiment: Experiment) -> None:
    Run.objects.filter(run_id=2).update(started_at=timezone.now() - timedelta(minutes=1))
    outside: dict[str, Any] = {"subject": "a000", "site": "local", "expid": "a000", "details": {"owner": "bob"}}
    trail.record("experiment.run_started_outside", origin=Origin(door=Door.MIRROR), message="process 7", **outside)
    assert "bob started a run of a000" in show(as_viewer, experiment)


@pytest.mark.usefixtures("runs")
def test_the_logs_of_each_run_are_linked(as_viewer: Client, experiment: Experiment, told: Told) -> None:
    name = "20261121_080000_run.log"
    told.logs = [LogFile(name, "run", 1, BEGAN + DAY + timedelta(hours=1), is_compressed=False)]
    assert show(as_viewer, experiment).count(f"?log={name}#log") == 1


@pytest.mark.usefixtures("runs")
def test_differences_of_the_configurations_are_shown(as_viewer: Client, experiment: Experiment, told: Told) -> None:
    told.configurations = {1: {"JOBS": {"SIM": {"WALLCLOCK": "<1:00>"}}}, 2: {"JOBS": {"SIM": {"WALLCLOCK": "2:00"}}}}
    page = show(as_viewer, experiment)
    assert "JOBS.SIM.WALLCLOCK" in page
    assert "&lt;1:00&gt;" in page


@pytest.mark.usefixtures("runs")
def test_a_configuration_that_was_not_kept_is_told(as_viewer: Client, experiment: Experiment) -> None:
    assert "Autosubmit has not kept the configuration of both runs" in show(as_viewer, experiment)


@pytest.mark.usefixtures("runs")
def test_a_history_that_cannot_be_read_is_told_beside_what_is_known(
    as_viewer: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Experiment) -> Performance:
        raise BrokenStore("The host is away.")

    monkeypatch.setattr(run_comparisons, "read_performance", fail)
    page = show(as_viewer, experiment)
    assert "The host is away." in page
    assert "1 failed, 1 of 2 completed" in page
    assert ask(as_viewer, experiment, format="csv").status_code == 404


def test_one_run_alone_is_not_compared(as_viewer: Client, experiment: Experiment) -> None:
    assert "a000 has no run yet." in show(as_viewer, experiment)
    factories.create_run(experiment, run_id=4)
    assert "There is no run before run 4." in show(as_viewer, experiment)
    assert ask(as_viewer, experiment, format="csv").status_code == 404


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("number", ["9", "x", "99999999999999999999"])
def test_a_run_that_there_is_not_is_not_found(as_viewer: Client, experiment: Experiment, number: str) -> None:
    assert ask(as_viewer, experiment, first=number).status_code == 404


@pytest.mark.usefixtures("runs")
def test_a_run_of_another_experiment_is_compared(as_viewer: Client, experiment: Experiment, told: Told) -> None:
    other = factories.create_experiment(experiment.site, expid="a001")
    factories.create_run(other, run_id=5, completed=2, total=2)
    told.attempts["a001"] = [("1_SIM", 5, "COMPLETED", 1), ("2_SIM", 5, "COMPLETED", 1)]
    page = show(as_viewer, experiment, first="1", **{"with": "a001"})
    assert "a001, run 5" in page
    assert "That ended otherwise (0)" in page


@pytest.mark.usefixtures("runs")
def test_somebody_with_one_experiment_is_not_told_of_another(
    signed_in: Callable[[User], Client], experiment: Experiment
) -> None:
    factories.create_run(factories.create_experiment(experiment.site, expid="a001"), run_id=5)
    member = factories.create_user()
    factories.create_team((member, Role.VIEWER), covers={"owner": "ana"})
    assert ask(signed_in(member), experiment).status_code == 200
    assert ask(signed_in(member), experiment, **{"with": "a001"}).status_code == 404
