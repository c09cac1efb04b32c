"""What people come for, in a real Chromium, with no more clicks or keys than it may take."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import be_signed_in
from tests.support.services import Http, Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
PHONE = {"width": 390, "height": 844}


class Hand:
    """Clicks and types, and counts: filling in a field is what one came to say, and counts nothing."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.keys = 0

    def click(self, what: Locator) -> None:
        """Click, once."""
        self.clicks += 1
        what.click()

    def follow(self, words: str) -> None:
        """Click the link that says this."""
        self.click(self.page.get_by_role("link", name=re.compile(f"^{words}")).first)

    def confirm(self, words: str) -> None:
        """Click the button that says this."""
        self.click(self.page.get_by_role("button", name=re.compile(f"^{words}")).first)

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.keys += 1
            self.page.keyboard.press(key)


def ended(portal: Portal, expid: str, action: str) -> None:
    """Ask for an action and wait for its end."""
    asked = portal.http.post(f"/v4/experiments/{expid}?action={action}", {"reason": "Another run"})
    assert asked.status == 202, asked.body
    wait_for(lambda: portal.http.get(asked.body["url"]).body["ended_at"])


def mirrored(portal: Portal, kind: str) -> str:
    """Make an experiment, and wait until the portal has its jobs."""
    expid = portal.make_experiment(kind)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body.get("total"))
    return expid


def failed(portal: Portal, kind: str) -> str:
    """Run an experiment in which a job fails, and wait until the portal says so."""
    expid = mirrored(portal, kind)
    ended(portal, expid, "run")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["failed"])
    return expid


@pytest.fixture(scope="module")
def broken(portal: Portal) -> str:
    """An experiment whose BAD has failed, and whose AFTER waits for it for ever."""
    return failed(portal, "failing")


def test_a_failed_job_is_found_understood_reset_and_seen_to_finish_in_five_clicks(page: Page, portal: Portal) -> None:
    expid = failed(portal, "mending")
    page.goto("/")
    hand = Hand(page)
    hand.click(page.locator(".need", has_text=expid).get_by_role("link", name=re.compile("^Open the failed job")))
    expect(page.locator("pre[role=log]").first).to_contain_text("the first time")
    hand.follow("Reset and start")
    expect(page.locator("#preview")).to_contain_text("FAILED")
    hand.confirm("Reset and start")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    assert hand.clicks <= 5
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["completed"] == 2)


def test_why_nothing_moves_is_one_click_away(page: Page, broken: str) -> None:
    page.goto(f"/experiments/{broken}/jobs/")
    hand = Hand(page)
    hand.follow(f"{broken}_AFTER")
    expect(page.get_by_role("region", name="Why does it not run?")).to_contain_text(f"{broken}_BAD 1 job back, failed")
    assert hand.clicks == 1


def test_the_blocked_path_is_two_clicks_away(page: Page, broken: str) -> None:
    page.goto(f"/experiments/{broken}/jobs/")
    hand = Hand(page)
    hand.follow(f"{broken}_AFTER")
    hand.follow("Show the way there")
    expect(page.get_by_role("table").last).to_contain_text(f"{broken}_BAD")
    assert hand.clicks == 2


def test_a_failed_job_has_its_log_shown_with_twelve_keys(page: Page, broken: str) -> None:
    page.goto("/")
    hand = Hand(page)
    hand.press("/", *"_BAD")
    expect(page.get_by_role("option", name=re.compile(f"{broken}_BAD"))).to_be_visible()
    hand.press("ArrowDown", "Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{broken}_BAD")
    expect(page.locator("pre[role=log]").first).to_contain_text("about to fail")
    assert hand.keys <= 12


def test_my_failures_since_yesterday_are_one_click_away(page: Page, broken: str) -> None:
    page.goto("/")
    hand = Hand(page)
    hand.follow("Mine")
    expect(page.locator(".need", has_text=f"{broken}_BAD has failed")).to_be_visible()
    assert hand.clicks == 1


def test_a_shift_is_handed_over_in_three_clicks(page: Page, portal: Portal, broken: str) -> None:
    colleague = portal.create_user("Operator")
    page.goto("/")
    hand = Hand(page)
    hand.follow("Hand over the shift")
    expect(page.get_by_role("main")).to_contain_text(f"{broken}_BAD has failed")
    page.get_by_role("combobox", name="Who").fill(colleague.username)
    hand.confirm("Delegate")
    expect(page.get_by_role("heading", level=1)).to_contain_text(colleague.username)
    assert hand.clicks <= 3


def test_a_run_is_stopped_on_a_phone_in_four_taps_and_everybody_sees_who_did_it(
    portal: Portal, open_page: Callable[..., Page]
) -> None:
    expid = mirrored(portal, "long")
    portal.http.post(f"/v4/experiments/{expid}?action=run", {})
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["running"])
    phone = open_page(portal.url, viewport=PHONE, has_touch=True, is_mobile=True)
    be_signed_in(phone, portal, portal.credentials)
    phone.goto("/")
    hand = Hand(phone)
    hand.click(phone.get_by_role("region", name="Running now").get_by_role("link", name=expid))
    hand.follow("Stop")
    hand.confirm("Stop")
    expect(phone.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    assert hand.clicks <= 4

    phone.goto("/")
    hand = Hand(phone)
    hand.follow("All activity")
    who = f"{portal.credentials.username} stopped {expid}"
    expect(phone.get_by_role("main")).to_contain_text(who)
    assert hand.clicks == 1


def test_failed_and_suspended_jobs_of_two_members_are_reset_in_six_clicks(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "medium")
    chosen = {"filter_member": ["fc1", "fc2", "fc3"], "filter_section": ["SIM"]}
    asked = portal.http.patch(f"/v4/experiments/{expid}/jobs?status=SUSPENDED", chosen)
    wait_for(lambda: portal.http.get(asked.body["url"]).body["ended_at"])
    page.goto(f"/experiments/{expid}/")
    hand = Hand(page)
    hand.click(page.locator(".page-head summary"))
    hand.follow("Set status")
    page.get_by_label("Status", exact=False).first.select_option("READY")
    hand.click(page.get_by_label("FAILED"))
    hand.click(page.get_by_label("SUSPENDED"))
    page.get_by_label("Filter member").fill("fc1 fc2")
    expect(page.locator("#preview")).to_contain_text("64 jobs")
    hand.confirm("Set status")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    suspended = portal.http.get(f"/v4/experiments/{expid}/jobs?status=SUSPENDED&view=quick").body["jobs"]
    assert {job["name"].split("_")[2] for job in suspended} == {"fc3"}
    assert hand.clicks <= 6


def test_a_colleague_gets_rights_on_an_experiment_in_five_clicks(page: Page, portal: Portal, broken: str) -> None:
    colleague = portal.create_user("Viewer")
    page.goto(f"/experiments/{broken}/")
    hand = Hand(page)
    hand.follow("Access")
    page.get_by_role("combobox", name="Who").fill(colleague.username)
    hand.confirm("Give")
    expect(page.get_by_role("heading", level=1)).to_contain_text(colleague.username)
    client = Http(portal.url, colleague.token)
    assert client.post(f"/v4/experiments/{broken}?action=run&dry_run=true", {}).status == 200
    assert hand.clicks <= 5


def test_the_last_two_runs_are_compared_in_two_clicks(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    ended(portal, expid, "run")
    ended(portal, expid, "generate")
    wait_for(lambda: len(portal.http.get(f"/v4/experiments/{expid}/runs").body["runs"]) == 2)
    page.goto(f"/experiments/{expid}/")
    hand = Hand(page)
    hand.follow("Compare")
    expect(page.get_by_role("main")).to_contain_text("COMPLETED")
    assert hand.clicks <= 2
