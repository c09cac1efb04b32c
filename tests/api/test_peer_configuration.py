"""Configurations are answered as Autosubmit API 4.2.0 recorded them, field by field."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests import factories
from tests.api.conftest import RECORDED

STORE = RECORDED.parent / "real-store"
EXPERIMENTS = ("a003", "a1ve", "a1vx", "a3tb")
RC = """
[database]
path = {root}
[local]
path = {root}
[globallogs]
path = {root}/logs
[historiclog]
path = {root}/metadata/logs
[structures]
path = {root}/metadata/structures
[historicdb]
path = {root}/metadata/data
"""
OURS = {"masked", "files", "left_out"}
"""Fields that the peer does not have."""

SECRETS = {"/v4/experiments/a1vx/runs/1/config": ["/DATABASE_CONN_URL"]}
"""Where the peer shows a password."""


@pytest.fixture
def real_store(db: None, tmp_path: Path) -> None:
    """The experiments that the peer was asked about, with the descriptions in their database."""
    if not STORE.exists():
        pytest.skip("the store that Autosubmit API was asked about is not here")
    (tmp_path / ".autosubmitrc").write_text(RC.format(root=STORE))
    site = factories.create_site(slug="real", is_default=True, home=str(tmp_path))
    uri = f"file:{STORE / 'autosubmit.db'}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        described = dict(database.execute("SELECT name, description FROM experiment"))
    for expid in EXPERIMENTS:
        factories.create_experiment(site, expid=expid, description=described[expid])


@pytest.mark.parametrize("path", [f"/v4/experiments/{expid}/filesystem-config" for expid in EXPERIMENTS])
def test_files_are_answered_alike(
    as_viewer: APIClient, real_store: None, recorded: Callable[[str], Any], path: str
) -> None:
    peer = json.loads(json.dumps(recorded(path)).replace("{ROOT}", str(STORE)))
    mine = as_viewer.get(path).json()
    assert {key: value for key, value in mine.items() if key not in OURS} == peer


@pytest.mark.parametrize(
    "run", ["a003/runs/1", "a003/runs/3", "a1ve/runs/1", "a1vx/runs/1", "a3tb/runs/51", "a3tb/runs/1"]
)
def test_runs_are_answered_alike(
    as_viewer: APIClient, real_store: None, recorded: Callable[[str], Any], run: str
) -> None:
    path = f"/v4/experiments/{run}/config"
    peer, mine = recorded(path), as_viewer.get(path).json()
    assert mine["masked"] == SECRETS.get(path, [])
    for pointer in mine.pop("masked"):
        peer["config"][pointer[1:]] = mine["config"][pointer[1:]]
    assert mine == peer


@pytest.mark.parametrize("expid", EXPERIMENTS)
def test_a_run_that_never_was_is_not_found_where_the_peer_answers_nothing(
    as_viewer: APIClient, real_store: None, recorded: Callable[[str], Any], expid: str
) -> None:
    path = f"/v4/experiments/{expid}/runs/9999/config"
    assert recorded(path) == {"run_id": None, "config": {"contains_nones": True}}
    assert as_viewer.get(path).status_code == 404
