"""A second person and a freeze on a real portal: nothing starts before both say so, and then it does."""

import pytest

from tests.support.services import Http, Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)

NEEDS_APPROVAL = "from experiments.models import Site; Site.objects.update(approval_kinds=['run'])"


def test_a_run_starts_when_a_second_person_approves_and_the_freeze_is_over(portal: Portal) -> None:
    expid = portal.make_experiment("small")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body.get("total"))
    portal.manage("shell", "--no-imports", "-c", NEEDS_APPROVAL)
    requester = Http(portal.url, portal.create_user("Operator").token)
    asked = requester.post(f"/v4/experiments/{expid}?action=run").body
    assert asked["state"] == "awaiting_approval"
    assert requester.post(f"/v4/actions/{asked['id']}/approve").status == 403

    freeze = portal.http.post("/v4/freezes", {"message": "New disks"}).body
    assert "New disks" in portal.http.post(f"/v4/actions/{asked['id']}/approve").body["detail"]
    assert portal.http.call("DELETE", freeze["url"]).status == 200

    assert portal.http.post(f"/v4/actions/{asked['id']}/approve").status == 200
    ended = wait_for(
        lambda: portal.http.get(f"/v4/actions/{asked['id']}").body, is_enough=lambda action: action["ended_at"]
    )
    assert (ended["state"], ended["approved_by"]) == ("succeeded", portal.credentials.username)
