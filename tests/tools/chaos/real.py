"""The smaller part of `make chaos`: the real Autosubmit runs while processes and the database server are killed."""

import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.services import Answer
from tests.support.waiting import wait_for
from tests.tools.chaos.faults import Faults
from tests.tools.chaos.fleet import Fleet, Setup, fleet


@pytest.fixture(scope="module")
def real(autosubmit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet on PostgreSQL with the real Autosubmit and the product's own patience."""
    home = tmp_path_factory.mktemp("chaos") / "home"
    with fleet(Setup("PostgreSQL"), home, program=autosubmit) as made:
        yield made


def answered(real: Fleet, path: str) -> Any:
    """Return what a GET answers as soon as the portal answers at all."""

    def look() -> Answer | None:
        try:
            return real.portal.http.get(path)
        except OSError:
            return None

    answer = wait_for(look, is_enough=lambda found: found is not None and found.status < 500)
    return answer.body if answer else None


def asked(real: Fleet, expid: str, kind: str, **parameters: bool) -> str:
    """Ask for an action until the portal answers, as a client with a key may."""
    key = secrets.token_hex(8)

    def ask() -> int:
        try:
            path = f"/v4/experiments/{expid}?action={kind}"
            body = {"reason": "chaos", **parameters}
            return int(real.portal.http.post(path, body, Idempotency_Key=key).body["id"])
        except (OSError, KeyError, TypeError):
            return 0

    return f"/v4/actions/{wait_for(ask)}"


def ended(real: Fleet, action: str) -> Any:
    """Wait for the end of an action and return it."""
    return wait_for(lambda: answered(real, action), is_enough=lambda body: bool(body["ended_at"]))


def has_started(real: Fleet, action: str, *, step: int) -> bool:
    """Answer whether a command of an action has been started."""
    return (real.portal.find_directory(int(action.rpartition("/")[2]), step) / "pid").exists()


def statuses(real: Fleet, expid: str) -> set[str]:
    return {job["status"] for job in answered(real, f"/v4/experiments/{expid}/jobs?view=quick")["jobs"]}


def runs_of(real: Fleet, expid: str) -> int:
    """Return how many runs Autosubmit itself has begun, by the logs that it writes."""
    return len(list((real.store / "autosubmit" / expid / "tmp" / "ASLOGS").glob("*_run.log")))


def made_and_running(real: Fleet, sleep: float) -> tuple[str, str]:
    """Make an experiment, start it through the portal, and wait until its long job runs."""
    expid = real.portal.make_experiment("long", sleep=sleep)
    wait_for(lambda: "jobs" in answered(real, f"/v4/experiments/{expid}/jobs"))
    wait_for(lambda: statuses(real, expid))
    action = asked(real, expid, "run")
    wait_for(lambda: "RUNNING" in statuses(real, expid))
    return expid, action


def test_real_runs_outlive_everything_and_are_found_again(real: Fleet) -> None:
    runs = [made_and_running(real, sleep=45) for _ in range(2)]
    faults = Faults(real, [], random.Random(0), in_haste=False)
    for fault in (
        faults.kill_child,
        faults.kill_web,
        faults.crash_database,
        faults.kill_mirror,
        faults.kill_cluster,
        faults.kill_gateway,
        faults.kill_agent,
    ):
        assert fault()
    for expid, action in runs:
        found = ended(real, action)
        assert (found["state"], found["exit_status"]) == ("succeeded", 0)
        output = real.portal.http.get(found["output_url"], Accept="text/plain").body
        assert "Run successful" in output
        assert runs_of(real, expid) == 1


def test_a_real_run_is_stopped_and_restarted_while_clusters_die(real: Fleet) -> None:
    expid, run = made_and_running(real, sleep=600)
    faults = Faults(real, [], random.Random(1), in_haste=False)
    stop = asked(real, expid, "stop")
    wait_for(lambda: has_started(real, stop, step=0))
    faults.kill_cluster()
    assert ended(real, stop)["state"] == "succeeded"
    assert ended(real, run)["state"] == "cancelled"
    restart = asked(real, expid, "restart", force=True)  # the job that the stopped run has left behind goes on
    wait_for(lambda: has_started(real, restart, step=0))
    faults.kill_cluster()
    wait_for(lambda: has_started(real, restart, step=1))
    wait_for(lambda: "RUNNING" in statuses(real, expid))
    assert ended(real, asked(real, expid, "stop"))["state"] == "succeeded"
    assert ended(real, restart)["state"] == "cancelled"
    assert runs_of(real, expid) == 2
