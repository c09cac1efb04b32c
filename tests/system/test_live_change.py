"""Changing a job of a running experiment through the API, with a worker that dies meanwhile, on each database."""

import os
import signal
from pathlib import Path
from typing import Any

from tests.support.services import Portal, processes_of
from tests.support.waiting import wait_for
from tests.system.test_whole_loop import act, ended, experiment, mirrored, statuses


def run_of(portal: Portal, expid: str) -> int:
    """The process of the run."""
    found = processes_of(portal.autosubmit.home)
    return next(pid for pid, command in found.items() if command.endswith(f"autosubmit run {expid}"))


def list_of(portal: Portal, expid: str) -> Path:
    return portal.autosubmit.home / "autosubmit" / expid / "status" / f"updated_list_{expid}.txt"


def change(portal: Portal, expid: str, name: str, status: str) -> Any:
    answer = portal.http.patch(f"/v4/experiments/{expid}/jobs/{expid}_{name}?status={status}&live=true")
    assert answer.status == 202, answer.body
    return answer.body


def test_a_live_change_survives_its_worker_and_one_that_nobody_reads_is_taken_back(portal: Portal) -> None:
    expid = mirrored(portal, "long")
    act(portal, expid, "run", Prefer="wait=0")
    wait_for(lambda: statuses(portal, expid)[f"{expid}_LONG"] == "RUNNING")
    wait_for(lambda: experiment(portal, expid)["is_running"])
    os.kill(run_of(portal, expid), signal.SIGSTOP)
    action = change(portal, expid, "AFTER", "SUSPENDED")
    wait_for(list_of(portal, expid).exists)
    portal.kill("worker")
    os.kill(run_of(portal, expid), signal.SIGCONT)
    wait_for(lambda: not list_of(portal, expid).exists())
    portal.start("worker")
    found = ended(portal, action)
    assert (found["state"], found["job_changes"]) == ("succeeded", [[f"{expid}_AFTER", "SUSPENDED"]])
    assert statuses(portal, expid)[f"{expid}_AFTER"] == "SUSPENDED"

    os.kill(run_of(portal, expid), signal.SIGSTOP)
    unread = change(portal, expid, "AFTER", "COMPLETED")
    wait_for(list_of(portal, expid).exists)
    os.kill(run_of(portal, expid), signal.SIGKILL)
    assert ended(portal, unread)["state"] == "failed"
    assert not list_of(portal, expid).exists()
    assert statuses(portal, expid)[f"{expid}_AFTER"] == "SUSPENDED"
