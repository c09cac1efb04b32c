"""The routes of configurations."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from tests.support import factories
from tests.support.configured import FILES, make_store, write

pytestmark = pytest.mark.one_database

FILE_SYSTEM = "/v4/experiments/a000/filesystem-config"
RUNS = {1: {"DEFAULT": {"EXPID": "a000"}, "PLATFORMS": {"MN5": {"PASSWORD": "hunter2"}}}, 2: "", 3: "{broken"}


@pytest.fixture
def site(db: None, tmp_path: Path) -> Site:
    """A site with a store."""
    make_store(tmp_path, runs=RUNS)
    return factories.create_site(slug="local", is_default=True, home=str(tmp_path))


def test_a_viewer_sees_what_the_files_say(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get(FILE_SYSTEM).json()
    assert answer["config"]["DEFAULT"]["DESCRIPTION"] == "Control run"
    assert answer["config"]["JOBS"]["SIM"]["FILE"] == "sim.sh"
    assert answer["config"]["DB_FILE"] == "autosubmit.db"
    assert answer["files"][0] == "conf/expdef_a000.yml"


def test_a_viewer_sees_no_secret(as_viewer: APIClient, experiment: Experiment) -> None:
    response = as_viewer.get(FILE_SYSTEM)
    assert b"hunter2" not in response.content
    assert response.json()["masked"] == ["/PLATFORMS/MN5/API_TOKEN", "/GIT/PROJECT_ORIGIN", "/HPCAPI_TOKEN"]


def test_a_viewer_sees_what_a_run_was_created_with(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.get("/v4/experiments/a000/runs/1/config").json() == {
        "run_id": 1,
        "config": {
            "DEFAULT": {"EXPID": "a000"},
            "PLATFORMS": {"MN5": {"PASSWORD": "********"}},
            "contains_nones": False,
        },
        "masked": ["/PLATFORMS/MN5/PASSWORD"],
    }


def test_a_run_without_a_configuration_has_an_empty_one(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get("/v4/experiments/a000/runs/2/config").json()
    assert answer == {"run_id": 2, "config": {"contains_nones": True}, "masked": []}


@pytest.mark.parametrize("run_id", [9999, 2**70])
def test_a_run_that_never_was_is_not_found(as_viewer: APIClient, experiment: Experiment, run_id: int) -> None:
    response = as_viewer.get(f"/v4/experiments/a000/runs/{run_id}/config")
    assert (response.status_code, response.json()["error_message"]) == (404, f"a000 has no run {run_id}.")


def test_a_broken_configuration_of_a_run_is_told(as_viewer: APIClient, experiment: Experiment) -> None:
    response = as_viewer.get("/v4/experiments/a000/runs/3/config")
    assert response.status_code == 409
    assert "run 3 of a000 cannot be read" in response.json()["detail"]


def test_a_broken_file_is_named(as_viewer: APIClient, experiment: Experiment, tmp_path: Path) -> None:
    write(tmp_path / "a000", {"conf/jobs_a000.yml": "JOBS: [\n"})
    response = as_viewer.get(FILE_SYSTEM)
    assert response.status_code == 409
    assert "conf/jobs_a000.yml cannot be read: line 2" in response.json()["error_message"]


def test_an_archived_experiment_says_where_it_is(as_viewer: APIClient, site: Site, tmp_path: Path) -> None:
    factories.create_experiment(site, expid="a001")
    write(tmp_path, {"2025/a001.tar.gz": ""})
    response = as_viewer.get("/v4/experiments/a001/filesystem-config")
    assert response.status_code == 404
    assert "autosubmit unarchive a001" in response.json()["detail"]


@pytest.mark.parametrize("text", ['{"a": NaN, "b": "\\ud800"}', "[" * 5000, '{"a": ' * 60 + "1" + "}" * 60, "[1]"])
def test_a_hostile_configuration_of_a_run_is_contained(
    as_viewer: APIClient, db: None, tmp_path: Path, text: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    make_store(home, FILES, {1: text})
    factories.create_experiment(factories.create_site(home=str(home)), expid="a000")
    assert as_viewer.get("/v4/experiments/a000/runs/1/config").status_code in (200, 409)


@pytest.mark.parametrize("path", [FILE_SYSTEM, "/v4/experiments/a000/runs/1/config"])
def test_who_may_not_see_the_experiment_sees_no_configuration(
    api: Any, actor: Any, experiment: Experiment, path: str
) -> None:
    assert api(actor()).get(path).status_code == 403
    assert api().get(path).status_code == 401
