"""What the configuration says that jobs are to be sent with."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from experiments.autosubmit.plans import (
    PLANNED,
    RESOLVED,
    Limits,
    add_plan,
    extract_limits,
    extract_plans,
    extract_sleep,
    read_plans,
)
from experiments.autosubmit.store import Store
from jobs.autosubmit.history import read_runs
from tests.support.small_stores import make_store

CONFIGURATION: dict[str, Any] = {
    "DEFAULT": {"HPCARCH": "MN5"},
    "PLATFORMS": {"MN5": {"QUEUE": "gp_bsces", "MAX_WALLCLOCK": "48:00"}, "ARCHIVE": {"SERIAL_QUEUE": "serial"}},
    "JOBS": {
        "SIM": {"PROCESSORS": 768, "WALLCLOCK": "01:30", "QUEUE": "gp_debug"},
        "INI": {},
        "TRANSFER": {"PLATFORM": "archive"},
    },
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment."""
    return make_store(tmp_path, ["a000"])


def write_run(store: Store, run_id: int, metadata: str) -> None:
    with closing(sqlite3.connect(store.history / "job_data_a000.db")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS experiment_run (run_id INTEGER, metadata TEXT)")
        connection.execute("INSERT INTO experiment_run VALUES (?, ?)", (run_id, metadata))
        connection.commit()


def write_file(store: Store, text: str) -> None:
    path = store.experiment_folder("a000") / RESOLVED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(store: Store, known: str = "") -> Any:
    return read_plans(store, "a000", read_runs(store.history_database("a000")), known)


def test_a_job_is_sent_with_what_its_section_says() -> None:
    plan = {"platform": "MN5", "processors": "768", "wallclock": "01:30", "qos": "gp_debug"}
    assert extract_plans(CONFIGURATION)["SIM"] == plan


def test_what_the_section_leaves_out_is_that_of_the_platform() -> None:
    plan = {"platform": "MN5", "processors": "1", "wallclock": "48:00", "qos": "gp_bsces"}
    assert extract_plans(CONFIGURATION)["INI"] == plan
    assert extract_plans(CONFIGURATION)["TRANSFER"] == {"platform": "ARCHIVE", "processors": "1", "qos": "serial"}


def test_a_configuration_of_3_is_read_by_its_parts() -> None:
    configuration = {
        "exp": {"svn": {}, "experiment": {"HPCARCH": "mn4"}},
        "platforms": {"mn4": {"QUEUE": "bsc_es", "MAX_WALLCLOCK": "48:00"}},
        "jobs": {"SIM": {"PROCESSORS": "768"}, "CLEAN": {"PLATFORM": "local", "WALLCLOCK": "00:30"}},
    }
    assert extract_plans(configuration) == {
        "SIM": {"platform": "mn4", "processors": "768", "wallclock": "48:00", "qos": "bsc_es"},
        "CLEAN": {"platform": "LOCAL", "processors": "1", "wallclock": "00:30"},
    }


UNPLAIN = ["%CURRENT_X%", "x" * 51, ["a", "b"], {"a": 1}, True, 10**5000]


@pytest.mark.parametrize("value", UNPLAIN, ids=range(len(UNPLAIN)))
def test_what_is_not_said_plainly_is_not_planned(value: object) -> None:
    configuration = {"JOBS": {"SIM": {"PLATFORM": value, "PROCESSORS": value, "WALLCLOCK": value, "QUEUE": value}}}
    assert extract_plans(configuration) == {}


def test_a_wallclock_that_grows_with_the_chunks_is_not_planned() -> None:
    assert "wallclock" not in extract_plans({"JOBS": {"SIM": {"WALLCLOCK": "01:00", "WCHUNKINC": "00:10"}}})["SIM"]


@pytest.mark.parametrize("configuration", [{}, {"JOBS": None}, {"JOBS": [1]}, {"JOBS": {"SIM": 3}, "PLATFORMS": 3}])
def test_a_configuration_of_another_form_does_no_harm(configuration: dict[str, Any]) -> None:
    assert set(extract_plans(configuration)) <= {"SIM"}


def test_names_of_sections_are_made_fit_for_a_database() -> None:
    assert set(extract_plans({"JOBS": {"a\0b\ud800": {}, "x" * 500: {}}})) == {"A�B?", "X" * 100}


def test_of_very_many_sections_some_are_planned() -> None:
    assert len(extract_plans({"JOBS": {f"S{number}": {} for number in range(5000)}})) == 1000


def test_the_newest_run_tells_the_plans(store: Store) -> None:
    write_run(store, 1, "{}")
    write_run(store, 2, json.dumps(CONFIGURATION))
    write_file(store, "JOBS: {SIM: {PLATFORM: LOCAL}}\n")
    assert found(store).plans["SIM"]["platform"] == "MN5"


def test_the_resolved_file_tells_the_plans_where_no_run_does(store: Store) -> None:
    write_file(store, "JOBS: {SIM: {PLATFORM: LOCAL}}\n")
    assert found(store).plans["SIM"]["platform"] == "LOCAL"
    write_run(store, 1, "")
    assert found(store).plans["SIM"]["platform"] == "LOCAL"


def test_plans_are_read_again_only_when_the_run_or_the_file_is_another(store: Store) -> None:
    write_run(store, 1, json.dumps(CONFIGURATION))
    source = found(store).source
    assert found(store, source) is None
    write_run(store, 2, json.dumps(CONFIGURATION))
    assert found(store, source) is not None


BROKEN = ["[", "{", "[1]", '{"JOBS": ' + "[" * 100_000, "?", '{"JOBS": {"SIM": {"PROCESSORS": 1e999}}}']


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_configuration_plans_nothing_that_could_do_harm(store: Store, text: str) -> None:
    write_run(store, 1, text)
    assert set(found(store).plans) <= {"SIM"}


def test_a_file_that_leads_out_is_not_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.yml").write_text("JOBS: {SIM: {}}\n")
    path = store.experiment_folder("a000") / RESOLVED
    path.parent.mkdir(parents=True)
    os.symlink(tmp_path / "secret.yml", path)
    assert found(store).plans == {}


@pytest.mark.parametrize("status", ["WAITING", "READY", "HELD", "SUSPENDED"])
def test_a_job_that_was_not_sent_has_the_plan_of_its_section(status: str) -> None:
    blank: dict[str, str | None] = dict.fromkeys(PLANNED)
    filled, planned = add_plan(status, "Sim", blank, extract_plans(CONFIGURATION))
    assert (filled["platform"], filled["qos"], planned) == ("MN5", "gp_debug", [*PLANNED])


def test_what_the_job_list_says_comes_before_the_plan() -> None:
    values = dict.fromkeys(PLANNED) | {"platform": "LOCAL"}
    filled, planned = add_plan("WAITING", "NONE", values, extract_plans(CONFIGURATION))
    assert (filled["platform"], planned) == ("LOCAL", ["platform"])


@pytest.mark.parametrize("status", ["RUNNING", "COMPLETED", "FAILED"])
def test_nothing_is_planned_of_a_job_that_was_sent(status: str) -> None:
    blank: dict[str, str | None] = dict.fromkeys(PLANNED)
    assert add_plan(status, "SIM", blank, extract_plans(CONFIGURATION)) == (blank, [])


@pytest.mark.parametrize(
    ("configuration", "seconds"),
    [
        ({"CONFIG": {"SAFETYSLEEPTIME": 60}}, 60),
        ({"CONFIG": {"SAFETYSLEEPTIME": "0"}}, 0),
        ({"CONFIG": {}}, 10),
        ({"CONFIG": {"SAFETYSLEEPTIME": "%X%"}}, None),
        ({"CONFIG": {"SAFETYSLEEPTIME": 10**18}}, 366 * 86_400),
        ({"CONFIG": None}, None),
        ({}, None),
    ],
)
def test_the_pause_of_a_run_is_that_of_the_configuration(configuration: dict[str, Any], seconds: int | None) -> None:
    assert extract_sleep(configuration) == seconds


@pytest.mark.parametrize(
    ("configuration", "limits"),
    [
        ({"CONFIG": {"TOTALJOBS": 20, "MAXWAITINGJOBS": "10"}}, {"": {"total": 20, "waiting": 10}}),
        ({"conf": {"config": {"TOTALJOBS": "6"}}}, {"": {"total": 6}}),
        (
            {"CONFIG": {"TOTALJOBS": 20}, "PLATFORMS": {"mn5": {"TOTALJOBS": 3, "TOTAL_JOBS": 4}, "LOCAL": {}}},
            {"": {"total": 20}, "MN5": {"total": 4}},
        ),
        ({"PLATFORMS": {"MN5": {"MAX_WAITING_JOBS": 2}}}, {"MN5": {"waiting": 2}}),
        ({"CONFIG": {"TOTALJOBS": "many", "MAXWAITINGJOBS": -1}}, {}),
        ({"CONFIG": ["TOTALJOBS"], "PLATFORMS": {"MN5": None}}, {}),
        ({}, {}),
    ],
)
def test_limits_of_platforms_come_before_the_general_ones(configuration: dict[str, Any], limits: Limits) -> None:
    assert extract_limits(configuration) == limits
