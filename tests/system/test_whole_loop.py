"""The whole product through the API: real processes, real Autosubmit, on each database."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.services import Http, Portal
from tests.support.waiting import PATIENCE, wait_for

WAIT = {"Prefer": "wait=30"}
# Autosubmit's own states, as its `monitor -o txt` writes them beside the name of each job.
Statuses = dict[str, str]


def statuses(portal: Portal, expid: str) -> Statuses:
    jobs = portal.http.get(f"/v4/experiments/{expid}/jobs?view=quick").body["jobs"]
    return {job["name"]: job["status"] for job in jobs}


def experiment(portal: Portal, expid: str) -> Any:
    return portal.http.get(f"/v4/experiments/{expid}").body


def mirrored(portal: Portal, kind: str, **options: Any) -> str:
    """Make an experiment as from a terminal and wait until the portal shows it."""
    expid = portal.make_experiment(kind, **options)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    wait_for(lambda: kind == "waiting" or statuses(portal, expid))
    return expid


def act(portal: Portal, expid: str, kind: str, body: Any = None, **headers: str) -> Any:
    """Ask for an action, and wait for its end unless told otherwise; return it."""
    answer = portal.http.post(f"/v4/experiments/{expid}?action={kind}", body, **(headers or WAIT))
    assert answer.status in (200, 202), answer.body
    return answer.body if headers else ended(portal, answer.body)


def ended(portal: Portal, action: Any) -> Any:
    """Wait for the end of an action and return it."""
    wait_for(lambda: portal.http.get(action["url"]).body["ended_at"])
    return portal.http.get(action["url"]).body


def trail(portal: Portal, expid: str) -> Any:
    """Return the audit entries of an experiment."""
    return portal.http.get(f"/v4/audit?expid={expid}").body["results"]


def events(portal: Portal, expid: str) -> list[str]:
    """Return what happened to an experiment, by name."""
    return [entry["event"] for entry in trail(portal, expid)]


def monitored(portal: Portal, expid: str) -> Statuses:
    """Return the states of all jobs as Autosubmit's own monitor tells them."""
    portal.autosubmit.call("monitor", "--hide", "--output", "txt", expid)
    folder = portal.autosubmit.home / "autosubmit" / expid / "status"
    newest = max(folder.glob(f"{expid}_*.txt"), key=lambda path: path.stat().st_mtime)
    return dict(re.findall(rf"({expid}_\S+) .*\[([A-Z]+)\]", newest.read_text()))


def test_an_experiment_is_created_generated_run_and_agrees_with_autosubmits_monitor(portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    assert act(portal, expid, "generate")["state"] == "succeeded"
    run = ended(portal, act(portal, expid, "run"))
    assert (run["state"], run["exit_status"]) == ("succeeded", 0)
    assert set(statuses(portal, expid).values()) == {"COMPLETED"}
    assert statuses(portal, expid) == monitored(portal, expid)


def test_a_description_with_everything_in_it_arrives_as_typed(portal: Portal) -> None:
    text = "-x --help \"two\" 'one' $(touch pwned) `id` ; & |\n\tsecond line\n🌍 é \\n"
    body = {"description": text, "dummy": True, "hpc": "LOCAL"}
    created = ended(portal, portal.http.post("/v4/experiments", body, **WAIT).body)
    assert created["state"] == "succeeded"
    assert experiment(portal, created["expid"])["description"] == text


def test_two_creations_at_once_get_two_expids(portal: Portal) -> None:
    body = {"description": "at once", "dummy": True}
    asked = [portal.http.post("/v4/experiments", body).body for _ in range(2)]
    created = [ended(portal, action)["expid"] for action in asked]
    assert len(set(created)) == 2


def test_the_status_of_a_job_is_set_and_shown(portal: Portal) -> None:
    expid = mirrored(portal, "small")
    job = f"{expid}_SETUP"
    asked = portal.http.patch(f"/v4/experiments/{expid}/jobs/{job}?status=SUSPENDED", **WAIT).body
    action = ended(portal, asked)
    assert action["job_changes"] == [[job, "SUSPENDED"]]
    assert statuses(portal, expid)[job] == "SUSPENDED"


def test_a_run_is_seen_refuses_a_second_one_and_is_stopped(portal: Portal) -> None:
    expid = mirrored(portal, "long")
    run = act(portal, expid, "run", Prefer="wait=0")
    wait_for(lambda: experiment(portal, expid)["is_running"])
    again = portal.http.post(f"/v4/experiments/{expid}?action=run")
    assert (again.status, again.body["action_id"]) == (409, run["id"])
    assert act(portal, expid, "stop")["state"] == "succeeded"
    assert ended(portal, run)["state"] == "cancelled"
    wait_for(lambda: not experiment(portal, expid)["is_running"])


def test_a_failed_experiment_is_restarted_and_each_step_can_be_read(portal: Portal) -> None:
    expid = mirrored(portal, "failing")
    assert ended(portal, act(portal, expid, "run"))["state"] == "failed"
    assert statuses(portal, expid)[f"{expid}_BAD"] == "FAILED"
    restart = ended(portal, act(portal, expid, "restart"))
    assert [argv[1] for argv in restart["command"]] == ["recovery", "run"]
    assert "Recovery finalized" in portal.http.get(f"{restart['output_url']}?step=0", Accept="text/plain").body


def test_a_run_started_from_a_terminal_is_noticed_and_not_disturbed(portal: Portal) -> None:
    expid = mirrored(portal, "long")
    terminal = portal.start_from_terminal(expid)
    wait_for(lambda: experiment(portal, expid)["is_running"])
    refused = portal.http.post(f"/v4/experiments/{expid}?action=restart")
    assert refused.status == 409
    assert "Stop it first" in refused.body["detail"]
    stopped = act(portal, expid, "stop")
    assert stopped["state"] == "succeeded"
    terminal.wait(PATIENCE)
    wait_for(lambda: "experiment.run_ended_outside" in events(portal, expid))
    assert "experiment.run_started_outside" in events(portal, expid)
    assert ("action.succeeded", stopped["id"]) in [(entry["event"], entry["action"]) for entry in trail(portal, expid)]


def test_an_experiment_outlives_a_killed_worker_and_its_end_is_found(portal: Portal) -> None:
    expid = mirrored(portal, "long", sleep=30)
    run = act(portal, expid, "run", Prefer="wait=0")
    wait_for(lambda: {"RUNNING", "COMPLETED"} & {*statuses(portal, expid).values()})
    portal.kill("worker")
    wait_for(lambda: set(statuses(portal, expid).values()) == {"COMPLETED"})
    portal.start("worker")
    found = ended(portal, run)
    assert (found["state"], found["exit_status"]) == ("succeeded", 0)
    assert "Run successful" in portal.http.get(found["output_url"], Accept="text/plain").body


def test_the_trail_tells_who_did_what(portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    act(portal, expid, "generate", {"reason": "first generation"})
    told = [entry["event"] for entry in trail(portal, expid)]  # the newest first
    entries = trail(portal, expid)[: told.index("action.requested") + 1]  # it was made outside before that
    assert [entry["event"] for entry in reversed(entries)] == [
        "action.requested",
        "action.running",
        "action.command_started",
        "action.succeeded",
    ]
    assert {entry["actor"] for entry in entries} == {portal.credentials.username}


def test_a_hostile_job_list_runs_nothing_and_is_told(portal: Portal, tmp_path: Path) -> None:
    expid = mirrored(portal, "small")
    trace = tmp_path / "executed"
    job_list = portal.autosubmit.home / "autosubmit" / expid / "pkl" / f"job_list_{expid}.pkl"
    job_list.write_bytes(b"cposix\nsystem\n(V" + f"touch {trace}".encode() + b"\ntR.")
    wait_for(lambda: "posix.system" in experiment(portal, expid)["problem"])
    assert not trace.exists()
    assert len(statuses(portal, expid)) == 4


def test_a_viewer_may_look_and_not_touch(portal: Portal) -> None:
    expid = mirrored(portal, "small")
    viewer = Http(portal.url, portal.create_user("Viewer").token)
    assert viewer.get(f"/v4/experiments/{expid}").status == 200
    refused = viewer.post(f"/v4/experiments/{expid}?action=run")
    assert (refused.status, refused.body["permission"]) == (403, "experiments.request_run")


TEAM = """
import os
from django.contrib.auth.models import User
from autosubmit_portal.access.models import Coverage, Membership, Team
from experiments.models import Site
user = User.objects.create_user(os.environ["NAME"])
team = Team.objects.create(slug=user.username, name="A project")
Membership.objects.create(team=team, user=user, role=3)
Coverage.objects.create(team=team, site=Site.objects.get(), owner=f"project {user.username}")
"""


def manager_of_a_project(portal: Portal, name: str) -> Http:
    """Return the API as the manager of a team sees it that has nothing but what it creates."""
    portal.manage("shell", "--no-imports", "-c", TEAM, NAME=name)
    return Http(portal.url, portal.manage("create_token", name, "--name=tests").strip())


def test_a_project_sees_what_it_creates_and_no_other_does(portal: Portal) -> None:
    others = mirrored(portal, "small")
    own, stranger = (manager_of_a_project(portal, name) for name in ("icon", "nemo"))
    asked = own.post("/v4/experiments", {"description": "Ours", "dummy": True}, **WAIT)
    made = ended(portal, asked.body)["expid"]
    seen = [client.get("/v4/experiments").body["experiments"] for client in (own, stranger)]
    assert [[row["name"] for row in rows] for rows in seen] == [[made], []]
    assert own.post(f"/v4/experiments/{made}?action=generate&dry_run=true").status == 200
    assert own.get(f"/v4/experiments/{others}").status == 404
    assert "team.experiment_added" in events(portal, made)


@pytest.mark.parametrize("path", ["/v4/experiments", "/v4/experiments/", "/v4/actions", "/v4/audit", "/v4/schema"])
def test_nobody_gets_anything(portal: Portal, path: str) -> None:
    assert Http(portal.url).get(path).status == 401
