"""What an agent reads of a store for its gateway, through readers."""

import gzip
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.protocol import Data, Failure
from experiments.autosubmit import forms
from experiments.autosubmit.store import Store
from tests.agent.agents import Channel, agent, find_pythons
from tests.support import stores
from tests.support.small_stores import make_store
from tests.support.waiting import wait_for

RUNS = """
CREATE TABLE job_data (id INTEGER PRIMARY KEY, job_name TEXT, status TEXT);
CREATE TABLE experiment_run (run_id INTEGER PRIMARY KEY, metadata TEXT);
INSERT INTO experiment_run VALUES (1, '{"MODEL": {"STEPS": 4, "PASSWORD": "old"}}'), (2, NULL);
"""
METRICS = stores.USER_METRICS + "INSERT INTO user_metrics VALUES (1, 3, 'a000_SIM', 'SYPD', '4.5', '2026-01-01');"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment that has a bit of everything."""
    (tmp_path / "home").mkdir()
    made = make_store(tmp_path / "home", ["a000"])
    folder = made.experiment_folder("a000")
    (folder / "conf").mkdir()
    (folder / "conf/model.yml").write_text('MODEL: {STEPS: 5, PASSWORD: new, NUL: "a\\0b"}')
    (folder / "tmp/ASLOGS").mkdir()
    (folder / "tmp/ASLOGS/20260101_000000_run.log").write_text("begin\npassword=hidden1234\nend\n")
    (folder / "tmp/LOG_a000").mkdir()
    with gzip.open(folder / "tmp/LOG_a000/a000_SIM.20260101000000.out.gz", "wb") as log:
        log.write(b"x" * 2_000_000 + b"\nlast")
    stores.make_database(made.root / "d/job_data_a000.db", RUNS)
    stores.make_database(folder / "tmp/metrics_a000.db", METRICS)
    return made


@pytest.fixture
def channel(tmp_path: Path, store: Store) -> Iterator[Channel]:
    with agent(tmp_path, home=str(tmp_path / "home")) as made:
        yield made


def read(channel: Channel, what: str, **arguments: Any) -> tuple[Any, bytes]:
    """Return the message and the bytes of an answer."""
    return channel.read(what, "a000", **arguments)


def read_document(channel: Channel, what: str, **arguments: Any) -> Any:
    answer, data = read(channel, what, **arguments)
    assert answer == {}
    return json.loads(data)


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)
def test_a_configuration_is_read_without_its_secrets_on_every_python(tmp_path: Path, store: Store, python: str) -> None:
    with agent(tmp_path, python, home=str(tmp_path / "home")) as channel:
        found = read_document(channel, "configuration", description="One")
    assert found["values"]["MODEL"] == {"STEPS": 5, "PASSWORD": "********", "NUL": "a�b"}
    assert found["masked"] == ["/MODEL/PASSWORD"]
    assert found["files"] == ["conf/model.yml"]


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)
def test_an_experiment_is_read_on_every_python(tmp_path: Path, store: Store, python: str) -> None:
    with agent(tmp_path, python, home=str(tmp_path / "home")) as channel:
        first = read(channel, "experiment", plans_source="", edges="", revision="")
        reading = forms.understand_experiment(*first)
        assert [(job.name, job.status) for job in reading.jobs] == [("a000_0", "READY")]
        second = read(channel, "experiment", plans_source="", edges="", revision=reading.revision)
        reading = forms.understand_experiment(*second)
        assert (reading.jobs, reading.base) == ([], reading.revision)
        assert forms.understand_fresh(read(channel, "fresh")[1]).absence == ""
        assert forms.understand_stops(read(channel, "stops")[0]) is None


def test_the_configuration_of_a_run_is_read(channel: Channel) -> None:
    assert read_document(channel, "run configuration", run_id=1)["values"]["MODEL"]["STEPS"] == 4
    assert read_document(channel, "run configuration", run_id=2)["values"] == {}
    assert read(channel, "run configuration", run_id=3)[0] == Failure(
        channel.client._last_channel, "missing", "a000 has no run 3."
    )


def test_changes_of_a_configuration_are_told_and_secrets_are_not(channel: Channel) -> None:
    changes = read_document(channel, "configuration changes", run_id=1, description="")["changes"]
    of_model = {change["pointer"]: (change["old"], change["new"]) for change in changes if "MODEL" in change["pointer"]}
    assert of_model == {
        "/MODEL/NUL": (None, "a�b"),
        "/MODEL/PASSWORD": ("********", "********"),
        "/MODEL/STEPS": (4, 5),
    }


def test_the_rules_of_a_host_are_read_of_no_experiment(channel: Channel, tmp_path: Path) -> None:
    write_rules(tmp_path, "run,stop")
    assert channel.ask("read", what="rules") == {"node": platform.node(), "refused": ["run", "stop"], "programs": {}}
    assert "'expid' is unknown" in channel.ask("read", what="rules", expid="a000").reason


def test_rules_that_autosubmit_cannot_read_are_told(channel: Channel, tmp_path: Path) -> None:
    write_rules(tmp_path, "")
    assert "correct its rc file" in channel.ask("read", what="rules").reason


def test_a_command_that_the_rules_forbid_is_not_started(channel: Channel, tmp_path: Path) -> None:
    write_rules(tmp_path, "-c")
    start = channel.start("-c", "true")
    assert (start["outcome"], start["why"]) == (
        "refused",
        f"[hosts] in the rc file of Autosubmit does not let {platform.node()} run '-c'.",
    )


def test_a_command_that_has_started_is_told_whatever_the_rules_say_since(channel: Channel, tmp_path: Path) -> None:
    channel.start("-c", "true")
    channel.follow()
    write_rules(tmp_path, "-c")
    assert channel.start("-c", "true")["outcome"] == "started before"


def write_rules(folder: Path, commands: str) -> None:
    """Forbid commands on this host."""
    hosts = f" {platform.node()}" if commands else ""
    with (folder / "home/.autosubmitrc").open("a") as rc:
        rc.write(f"[hosts]\nforbidden = [{commands}{hosts}]\n")


def test_metrics_are_read(channel: Channel) -> None:
    assert read_document(channel, "metric runs") == {"runs": [3]}
    (metric,) = read_document(channel, "metrics", run_id=3)["metrics"]
    assert metric["metric_value"] == "4.5"


def test_attempts_are_read(channel: Channel) -> None:
    assert read_document(channel, "attempts") == {"attempts": []}
    assert read_document(channel, "job attempts", job="a000_SIM") == {"attempts": []}


def test_logs_are_listed(channel: Channel) -> None:
    (log,) = read_document(channel, "logs")["logs"]
    assert (log["name"], log["kind"], log["size"]) == ("20260101_000000_run.log", "run", 30)
    (of_job,) = read_document(channel, "logs", job="a000_SIM", named=[])["logs"]
    assert (of_job["kind"], of_job["is_compressed"]) == ("out", True)


def test_a_part_of_a_log_is_read_without_its_secrets(channel: Channel) -> None:
    answer, data = read(channel, "log", name="20260101_000000_run.log", offset=-24, limit=100)
    assert data == b"password=**********\nend\n"
    assert (answer["offset"], answer["size"]) == (6, 30)


def test_the_end_of_a_compressed_log_of_a_job_is_read(channel: Channel) -> None:
    name = "a000_SIM.20260101000000.out"
    answer, data = read(channel, "log", job="a000_SIM", named=[], name=name, offset=-5, limit=100)
    assert (data, answer["name"], answer["size"]) == (b"\nlast", f"{name}.gz", 2_000_005)


def test_a_long_part_comes_as_fast_as_it_is_taken(channel: Channel) -> None:
    name = "a000_SIM.20260101000000.out"
    channel.events.clear()
    asked = {"expid": "a000", "what": "log", "job": "a000_SIM", "named": [], "name": name, "offset": 0, "limit": 2**21}
    number = channel.client.request("read", asked, time.monotonic())
    taken = 0
    while taken < 2_000_005:
        data = channel.wait_for(Data, channel=number)
        channel.events.remove(data)
        taken += len(data.data)
        channel.client.consume(number, len(data.data))
    assert channel.ask("read", expid="a000", what="metric runs") == {}


def test_the_paths_of_the_logs_of_a_job_are_told(channel: Channel, store: Store) -> None:
    name = "a000_SIM.20260101000000.out"
    found = read_document(channel, "log paths", job="a000_SIM", named=[name, "a000_SIM.20260101000000.err"])
    assert found == {"paths": {name: f"{store.experiment_folder('a000')}/tmp/LOG_a000/{name}.gz"}}


def test_the_state_of_a_database_is_told_when_it_has_settled(channel: Channel, store: Store) -> None:
    database, later = store.root / "d/job_data_a000.db", time.time() + 3600
    os.utime(database, (later, later))
    assert read(channel, "state", of="history")[0] == {"state": None}
    os.utime(database, (1_000_000, 1_000_000))
    assert read(channel, "state", of="history")[0]["state"].startswith("((1000000000000000, ")


def test_a_log_is_searched(channel: Channel) -> None:
    arguments = {"offset": 0, "line": 1, "text": "END", "most_matches": 10, "ignore_case": True}
    answer, data = read(channel, "log search", name="20260101_000000_run.log", **arguments)
    (match,) = json.loads(data)["matches"]
    assert (answer["size"], match["line"], match["offset"]) == (30, 3, 26)


@pytest.mark.parametrize(
    ("what", "arguments", "code", "reason"),
    [
        ("everything", {}, "invalid", "'everything', which nobody can read"),
        ("log", {"name": "x.log", "offset": 0, "limit": 10}, "missing", "There is no log 'x.log'"),
        ("log", {"name": "../../conf/model.yml", "offset": 0, "limit": 10}, "missing", "not the bare name of a log"),
        ("log", {"name": "x.log", "offset": 0, "limit": 2**40}, "invalid", "“limit” must be a whole number"),
        ("metrics", {"run_id": 1, "file": "/etc/passwd"}, "invalid", "'file' is unknown"),
        ("logs", {"job": "x" * 70_000, "named": []}, "invalid", "more than 60000 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    channel: Channel, what: str, arguments: dict[str, Any], code: str, reason: str
) -> None:
    failure, _ = read(channel, what, **arguments)
    assert (failure.code, reason in failure.reason) == (code, True), failure


def test_an_expid_is_no_path(channel: Channel) -> None:
    assert channel.ask("read", expid="../a000", what="logs").code == "invalid"


def test_a_site_without_a_home_reads_nothing(tmp_path: Path) -> None:
    with agent(tmp_path) as channel:
        assert read(channel, "logs")[0].code == "broken"


def test_a_store_that_is_not_there_is_told(channel: Channel, store: Store) -> None:
    store.database.unlink()
    failure, _ = read(channel, "metric runs")
    assert (failure.code, failure.reason.partition(" /")[0]) == ("broken", "There is no Autosubmit database")


def test_the_agent_itself_opens_nothing_of_the_store(channel: Channel, store: Store, tmp_path: Path) -> None:
    """Its loop has none of the code that does, nor any file of the store; its reader has."""
    read(channel, "experiment", revision="", plans_source="", edges="")
    maps = Path(f"/proc/{channel.process.pid}/maps").read_text()
    assert "_sqlite3" not in maps
    children = Path(f"/proc/{channel.process.pid}/task/{channel.process.pid}/children").read_text().split()
    assert "_sqlite3" in Path(f"/proc/{children[0]}/maps").read_text()


def test_what_readers_keep_is_for_nobody_else(channel: Channel, tmp_path: Path) -> None:
    read(channel, "experiment", revision="", plans_source="", edges="")
    spool = tmp_path / "spool"
    kept = wait_for(lambda: [*spool.glob("told/*/*")])
    assert {path.stat().st_mode & 0o077 for path in (spool, spool / "readers", spool / "told", *kept)} == {0}


def test_nothing_is_left_of_readers_when_their_agent_ends(channel: Channel, tmp_path: Path) -> None:
    read(channel, "metric runs")
    children = Path(f"/proc/{channel.process.pid}/task/{channel.process.pid}/children").read_text().split()
    assert channel.process.stdin
    channel.process.stdin.close()
    channel.process.wait(60)
    assert not list((tmp_path / "spool/readers").iterdir())
    wait_for(lambda: not any(Path(f"/proc/{child}/exe").exists() for child in children))
