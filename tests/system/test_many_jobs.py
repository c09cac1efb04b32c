"""A status for ten thousand jobs in one request, set by the real Autosubmit, on each database."""

from experiments.autosubmit.output import find_changed_jobs
from tests.support.services import Portal
from tests.support.waiting import wait_for


def suspended(portal: Portal, expid: str) -> set[str]:
    """Return the jobs that Autosubmit's own job list calls SUSPENDED: its dry run names each that would change."""
    chosen = ("--filter_status=SUSPENDED", "--status_final=WAITING")
    return {name for name, _ in find_changed_jobs(portal.autosubmit.call("setstatus", "--noplot", *chosen, expid))}


def shown(portal: Portal, expid: str) -> set[str]:
    """Return the jobs that the portal calls SUSPENDED."""
    path = f"/v4/experiments/{expid}/jobs?status=SUSPENDED&view=quick"
    return {job["name"] for job in portal.http.get(path).body["jobs"]}


def test_ten_thousand_named_jobs_change_in_autosubmits_own_job_list(portal: Portal) -> None:
    expid = portal.make_experiment("large")
    path = f"/v4/experiments/{expid}"
    wait_for(lambda: portal.http.get(path).body.get("total"), is_enough=lambda n: n == 10_001)
    jobs = portal.http.get(f"{path}/jobs?section=SIM&view=quick").body["jobs"]
    names = {job["name"] for job in jobs}
    asked = portal.http.patch(f"{path}/jobs?status=SUSPENDED", {"jobs": sorted(names)})
    assert asked.status == 202, asked.body
    assert len(asked.body["command"]) == 3
    action = wait_for(lambda: portal.http.get(asked.body["url"]).body, is_enough=lambda a: a["ended_at"])
    assert (action["state"], action["message"]) == ("succeeded", "Changed: 10000 jobs to SUSPENDED.")
    assert {name for name, _ in action["job_changes"]} == names
    assert suspended(portal, expid) == names
    wait_for(lambda: shown(portal, expid) == names)
