"""What the API answers about files of an experiment when the agent that reads them is away, slow, or lies."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.gateway import caller
from experiments.models import Experiment, Host, Site
from jobs.models import Job
from tests.support.in_process_host import InProcessHosts
from tests.support.stores.written import write_store

pytestmark = pytest.mark.one_database

EXPERIMENT = "/v4/experiments/a000"
READS = (
    "filesystem-config",
    "runs/1/config",
    "logs",
    "logs/20261125_100000_run.log",
    "logs/20261125_100000_run.log?search=x",
    "jobs/a000_20000101_fc0_1_SIM/logs",
    "user-metrics-runs",
    "runs/1/user-metrics",
)
AWAY = "The host has been away for 37 s. Its channel cannot be opened."


@pytest.fixture
def reader(experiment: Experiment, tmp_path: Path) -> Host:
    """The host of the site of the experiment."""
    write_store(tmp_path, "a000")
    Site.objects.update(home=str(tmp_path))
    return Host.objects.get(site=experiment.site)


@pytest.mark.parametrize("address", READS)
def test_an_agent_that_is_away_is_told_with_since_when(
    as_viewer: APIClient, reader: Host, hosts_here: InProcessHosts, address: str
) -> None:
    hosts_here.away[reader.name] = AWAY
    answer = as_viewer.get(f"{EXPERIMENT}/{address}")
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == f"The files are read by the host {reader}, which is away. {AWAY}"


@pytest.mark.parametrize("address", READS)
def test_an_agent_that_does_not_answer_is_told(
    as_viewer: APIClient, reader: Host, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    def leave_unanswered(*_: object, **__: object) -> None:
        raise caller.Unanswered("The gateway has not answered in time.")

    monkeypatch.setattr("experiments.hosts.ask", leave_unanswered)
    answer = as_viewer.get(f"{EXPERIMENT}/{address}")
    assert (answer.status_code, "which does not answer" in answer.json()["detail"]) == (503, True)


def test_a_job_is_shown_with_the_names_of_its_logs_while_its_agent_is_away(
    as_viewer: APIClient, reader: Host, hosts_here: InProcessHosts
) -> None:
    Job.objects.update(out_log="a000_SIM.1.out")
    hosts_here.away[reader.name] = AWAY
    assert as_viewer.get(f"{EXPERIMENT}/jobs/a000_POST").json()["out_path_local"] == "a000_SIM.1.out"


def test_what_can_be_told_without_an_agent_is_told(
    as_viewer: APIClient, reader: Host, hosts_here: InProcessHosts
) -> None:
    hosts_here.away[reader.name] = AWAY
    assert as_viewer.get(EXPERIMENT).status_code == 200
    assert as_viewer.get(f"{EXPERIMENT}/jobs").status_code == 200


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("address", "answer", "data"),
    [
        ("filesystem-config", {}, b"\xff"),
        ("filesystem-config", {}, b"[]"),
        ("filesystem-config", {}, b'{"values": 1, "masked": [], "files": [], "left_out": []}'),
        ("filesystem-config", {}, b'{"values": {}, "masked": [1], "files": [], "left_out": []}'),
        ("filesystem-config", {}, b"[" * 100_000),
        ("user-metrics-runs", {}, b'{"runs": ["1"]}'),
        ("user-metrics-runs", {}, b'{"runs": 1}'),
        ("runs/1/user-metrics", {}, b'{"metrics": [{"job_name": "x"}]}'),
        ("runs/1/user-metrics", {}, b'{"metrics": [1]}'),
        ("logs", {}, b'{"logs": [{"name": "x", "kind": "run", "size": -1}]}'),
        ("logs/x.log", {}, b""),
        ("logs/x.log", {"name": "x"}, b""),
        ("logs/x.log?search=x", {"name": 5}, b"{}"),
    ],
)
def test_an_agent_that_lies_is_told(
    as_viewer: APIClient, monkeypatch: pytest.MonkeyPatch, address: str, answer: dict[str, Any], data: bytes
) -> None:
    monkeypatch.setattr("experiments.hosts.ask", lambda *_, **__: (answer, data))
    told = as_viewer.get(f"{EXPERIMENT}/{address}")
    assert (told.status_code, "is not understood" in told.json()["detail"]) in ((503, True), (409, True))


def test_secrets_that_an_agent_has_left_are_masked(
    as_viewer: APIClient, reader: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = b'{"values": {"DB": {"PASSWORD": "hunter22"}}, "masked": [], "files": [], "left_out": []}'
    monkeypatch.setattr("experiments.hosts.ask", lambda *_, **__: ({}, document))
    answer = as_viewer.get(f"{EXPERIMENT}/filesystem-config").json()
    assert (answer["config"]["DB"], answer["masked"]) == ({"PASSWORD": "********"}, ["/DB/PASSWORD"])


def test_a_gateway_that_is_not_there_is_told(
    as_viewer: APIClient, reader: Host, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("experiments.hosts.caller", caller)
    settings.STARTS_GATEWAY = False
    answer = as_viewer.get(f"{EXPERIMENT}/logs")
    assert (answer.status_code, "The gateway cannot be reached" in answer.json()["detail"]) == (503, True)
