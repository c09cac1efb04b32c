"""Workers as real processes, with SQLite and with Redis beside PostgreSQL: heartbeat, shutdown, queues, a dead broker.

The store is real; the `autosubmit` that the actions start is a stand-in that lasts as long as a file says.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.management.demo import Autosubmit
from experiments.actions.execute import SHORT_COMMAND_SECONDS
from tests.conftest import MakeExperiment
from tests.support.redis_server import RedisServer
from tests.support.services import Portal, processes_with
from tests.support.waiting import wait_for

pytestmark = pytest.mark.system

STAND_IN = """#!/bin/sh
[ "$1" = --version ] && { echo 4.1.17.1; exit; }
touch started
while [ -e "$HOME/slow" ]; do sleep 0.1; done
"""
NEW_SITE = (
    "from experiments.models import Site; local = Site.objects.get();"
    "local.pk, local.slug, local.queue, local.is_default = None, 'north', 'north', False; local.save()"
)
# What waits is sent again when it is a minute old, and the supervisor looks once a minute.
AGE_AND_SUPERVISE = (
    "from datetime import timedelta; from django.utils import timezone; from experiments.models import Action;"
    "from django_q.models import Schedule; now = timezone.now();"
    "Action.objects.filter(state='queued').update(requested_at=now - timedelta(seconds=90));"
    "Schedule.objects.update(next_run=now)"
)
only_redis = pytest.mark.parametrize("operated", ["redis"], indirect=True)


@pytest.fixture(scope="module")
def expid(make_experiment: MakeExperiment) -> str:
    """A real experiment that has a job list."""
    return make_experiment("small")


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def operated(
    request: pytest.FixtureRequest,
    expid: str,
    autosubmit_home: Path,
    static_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Portal]:
    """A portal whose web server and mirror run; the tests start its workers."""
    home = tmp_path_factory.mktemp("portal")
    (home / "static").symlink_to(static_files)
    program = home / "autosubmit"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    made = Portal(home=home, autosubmit=Autosubmit(program, autosubmit_home))
    if request.param == "redis":
        made.database_url = request.getfixturevalue("postgres").create_database()
        made.variables["PORTAL_BROKER_URL"] = request.getfixturevalue("redis_server").url
    made.set_up()
    made.start("web", "mirror")
    wait_for(lambda: made.http.get(f"/v4/experiments/{expid}/jobs").body.get("jobs"))
    yield made
    made.kill()
    made.kill_gateway()
    if made.database_url:
        request.getfixturevalue("postgres").drop_database(made.database_url)


@pytest.fixture(autouse=True)
def _no_worker_is_left(operated: Portal) -> Iterator[None]:
    yield
    slow(operated).unlink(missing_ok=True)
    for name in set(operated.processes) - {"web", "mirror"}:
        operated.stop(name)


def slow(portal: Portal) -> Path:
    """Return the file that keeps commands going as long as it is there."""
    return portal.autosubmit.home / "slow"


def ask(portal: Portal, expid: str, site: str = "local") -> Any:
    answer = portal.http.post(f"/v4/experiments/{expid}?action=generate&site={site}")
    assert answer.status == 202, answer.body
    return answer.body


def state(portal: Portal, action: Any) -> str:
    return str(portal.http.get(action["url"]).body["state"])


def ends_well(portal: Portal, action: Any) -> None:
    wait_for(lambda: state(portal, action), is_enough="succeeded".__eq__)


def has_started(portal: Portal, action: Any) -> bool:
    return (portal.find_directory(action["id"]) / "started").exists()


def workers(portal: Portal) -> str:
    """Return what /healthz says of the workers."""
    return str(portal.http.get("/healthz").body["workers"])


def test_a_worker_is_seen_when_it_lives_and_no_more_when_it_has_ended(operated: Portal) -> None:
    assert workers(operated) == "missing"
    operated.start("worker")
    wait_for(lambda: workers(operated), is_enough="ok".__eq__)
    operated.stop("worker")
    assert workers(operated) == "missing"


def test_a_worker_that_was_killed_falls_silent(operated: Portal) -> None:
    operated.start("worker")
    wait_for(lambda: workers(operated), is_enough="ok".__eq__)
    operated.kill("worker")
    wait_for(lambda: workers(operated), is_enough="missing".__eq__)


def test_an_action_goes_all_the_way(operated: Portal, expid: str) -> None:
    operated.start("worker")
    ends_well(operated, ask(operated, expid))


def test_a_worker_ends_soon_though_a_command_does_not_and_the_next_one_sees_its_end(
    operated: Portal, expid: str
) -> None:
    slow(operated).touch()
    operated.start("worker")
    action = ask(operated, expid)
    wait_for(lambda: has_started(operated, action))
    worker = operated.processes.pop("worker")
    worker.terminate()
    assert worker.wait(SHORT_COMMAND_SECONDS / 2) == 0  # it would look at the command for twice as long
    assert commands_in(operated, action)
    operated.start("worker")
    slow(operated).unlink()
    ends_well(operated, action)


def commands_in(portal: Portal, action: Any) -> list[str]:
    """Return what runs in the run directory of an action."""
    directory = portal.find_directory(action["id"])
    running = processes_with("HOME", portal.autosubmit.home)
    return [text for pid, text in running.items() if os.path.realpath(f"/proc/{pid}/cwd") == str(directory)]


@only_redis
def test_a_request_is_accepted_and_waits_while_redis_is_dead(
    operated: Portal, expid: str, redis_server: RedisServer
) -> None:
    operated.start("worker")
    wait_for(lambda: workers(operated), is_enough="ok".__eq__)
    redis_server.kill()
    action = ask(operated, expid)
    assert operated.http.get("/healthz").body["broker"] == "down"
    assert state(operated, action) == "queued"
    redis_server.start()
    operated.manage("shell", "--no-imports", "-c", AGE_AND_SUPERVISE)
    ends_well(operated, action)


def test_a_worker_takes_only_what_is_in_its_own_queue(operated: Portal, expid: str) -> None:
    operated.manage("shell", "--no-imports", "-c", NEW_SITE)
    wait_for(lambda: operated.http.get(f"/v4/experiments/{expid}/jobs?site=north").body.get("jobs"))
    of_local, of_north = ask(operated, expid), ask(operated, expid, "north")
    start_worker_of(operated, "north")
    ends_well(operated, of_north)
    assert state(operated, of_local) == "queued"
    operated.stop("worker of north")
    of_north = ask(operated, expid, "north")
    operated.start("worker")
    ends_well(operated, of_local)
    assert state(operated, of_north) == "queued"


def start_worker_of(portal: Portal, queue: str) -> None:
    portal.variables["Q_CLUSTER_NAME"] = queue
    portal.start("worker")
    del portal.variables["Q_CLUSTER_NAME"]
    portal.processes[f"worker of {queue}"] = portal.processes.pop("worker")
