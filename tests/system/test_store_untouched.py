"""Web, workers and mirror touch nothing in a store: only the agent does, which is another process."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.scanner import Scanner
from tests.support.services import ForkedAutosubmit, Portal, prepare
from tests.support.waiting import wait_for

pytestmark = pytest.mark.system
WAIT = {"Prefer": "wait=60"}
WATCH = Path(__file__).parents[1] / "support" / "store_watch"
PAGES = (
    "/",
    "/experiments/",
    "/experiments/~1/",
    "/experiments/~1/configuration/",
    "/experiments/~1/request/set_status/",
    "/experiments/~1/request/generate/",
    "/jobs/",
    "/experiments/~/jobs/~1/",
    "/actions/",
    "/actions/1/",
    "/runs/",
    "/runs/1/",
    "/sites/1/change/",
    "/sites/1/connection/",
    "/sites/1/request/create/",
    "/audit/",
    "/health/",
    "/metrics",
    "/healthz",
)


@pytest.fixture(scope="module")
def portal(autosubmit: Path, static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal whose processes note what they touch of its store."""
    home = tmp_path_factory.mktemp("portal")
    (home / "static").symlink_to(static_files)
    made = Portal(home, ForkedAutosubmit(autosubmit, home / "autosubmit-home"))
    prepare(made.autosubmit)
    try:
        made.set_up(refresh_seconds=1)
        made.variables |= {
            "PYTHONPATH": str(WATCH),
            "WATCHED_STORE": str(made.autosubmit.home),
            "STORE_TOUCHES": str(home / "touches"),
        }
        made.start()
        yield made
    finally:
        made.tear_down()


def act(portal: Portal, method: str, address: str, body: Any = None) -> Any:
    """Do something, and return the action when it has ended."""
    answer = portal.http.call(method, address, body, **WAIT)
    assert answer.status in (200, 201, 202), answer.body
    wait_for(lambda: portal.http.get(answer.body["url"]).body["ended_at"])
    return portal.http.get(answer.body["url"]).body


@pytest.fixture(scope="module")
def expid(portal: Portal) -> str:
    """An experiment that has been through everything that can be done to one; another was created."""
    expid = portal.make_experiment("small")
    address = f"/v4/experiments/{expid}"
    wait_for(lambda: portal.http.get(address).status == 200)
    ended = [
        act(portal, "POST", "/v4/experiments", {"description": "untouched", "dummy": True}),
        act(portal, "PATCH", address, {"description": "still untouched"}),
        act(portal, "POST", f"{address}?action=generate"),
        act(portal, "POST", f"{address}?action=run"),
        act(portal, "PATCH", f"{address}/jobs?status=WAITING", {"jobs": [f"{expid}_SETUP"]}),
        act(portal, "POST", f"{address}?action=restart"),
    ]
    assert [action["state"] for action in ended] == ["succeeded"] * len(ended), ended
    return expid


def list_paths(portal: Portal, expid: str) -> list[str]:
    """All that the document of the API says that can be read, of the experiment and of what was done to it."""
    document = json.loads(portal.manage("spectacular", "--format", "openapi-json"))
    job = portal.http.get(f"/v4/experiments/{expid}/jobs").body["jobs"][0]["name"]
    log = portal.http.get(f"/v4/experiments/{expid}/jobs/{job}/logs").body["logs"][0]["name"]
    values = {"expid": expid, "job": job, "log": log, "run_id": "1", "slug": "local"}
    values |= dict.fromkeys(("action_id", "entry_id", "delegation_id", "freeze_id", "note_id", "token_id"), "1")
    return [fill(path, values) for path, operations in document["paths"].items() if "get" in operations]


def fill(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def find_status(ask: Callable[[], Any]) -> int:
    """Return the status of what is answered when the host of the site is not too busy to answer."""
    return wait_for(lambda: int(ask().status), is_enough=lambda status: status != 503)


def test_nothing_that_people_do_or_see_makes_the_portal_touch_the_store(portal: Portal, expid: str) -> None:
    paths = list_paths(portal, expid)
    scanner = Scanner(portal, {})
    scanner.sign_in(portal.credentials.username, portal.credentials.password)
    shown = {path: find_status(partial(scanner.ask, path)) for path in PAGES}
    read = {path: find_status(partial(portal.http.get, path)) for path in paths}
    assert {path: status for path, status in (shown | read).items() if status >= 500 or "{" in path} == {}
    assert (portal.home / "touches").read_text() == ""


def test_what_is_touched_would_be_noted(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "file").touch()
    script = f"import os, pathlib; pathlib.Path({str(store / 'file')!r}).exists(); open({str(store / 'file')!r})"
    watched = {"PYTHONPATH": str(WATCH), "WATCHED_STORE": str(store), "STORE_TOUCHES": str(tmp_path / "touches")}
    subprocess.run([sys.executable, "-c", script], env=watched, check=True)
    told = [line.split()[-2] for line in (tmp_path / "touches").read_text().splitlines()]
    assert told == ["stat", "open"]
