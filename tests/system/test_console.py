"""The console in a real Chromium: what an operator does at 3 a.m., on the real Autosubmit."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import sign_in
from tests.services import Portal
from tests.waiting import wait_for

# A command of Autosubmit takes 3 s on an idle machine; the console shows its end within 3 s more.
COMMAND_MS = 60_000

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


def mirrored(portal: Portal, kind: str) -> str:
    """Make an experiment as from a terminal and wait until the portal shows it."""
    expid = portal.make_experiment(kind)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    return expid


def open_experiment(page: Page, expid: str) -> None:
    page.goto(f"/experiments/experiment/?q={expid}")
    page.get_by_role("link", name=expid, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(expid)


def press(page: Page, verb: str) -> None:
    """Follow the button to the form page and confirm there."""
    page.get_by_role("link", name=re.compile(rf"^{verb}…?$")).first.click()
    confirm(page, verb)


def confirm(page: Page, verb: str) -> None:
    page.get_by_role("button", name=re.compile(f"^{verb}")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("#")


def ask_for_chosen_rows(page: Page, entry: str) -> None:
    """Choose what to do with the rows: from a menu, or with the only button."""
    button = page.locator(".actions").get_by_role("button", name=entry, exact=True)
    if button.count():
        button.click()
        return
    page.get_by_label("With the chosen rows").select_option(label=entry)
    page.get_by_role("button", name="Go", exact=True).click()


def expect_end(page: Page, state: str) -> None:
    """Wait until the page of an action shows how it ended."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(state, timeout=COMMAND_MS)


def test_an_experiment_is_created_generated_and_started_from_the_browser(page: Page, portal: Portal) -> None:
    page.goto("/experiments/experiment/")
    page.get_by_role("link", name="Create experiment").first.click()
    page.get_by_label("Description").fill('Made in a browser, <b>not bold</b> & "quoted"')
    page.get_by_label("Dummy").check()
    confirm(page, "Create experiment")
    expect_end(page, "Succeeded")
    page.get_by_role("link", name=re.compile(r"^Open a\w{3}$")).click()
    expect(page.get_by_text('Made in a browser, <b>not bold</b> & "quoted"').first).to_be_visible()
    press(page, "Generate")
    expect_end(page, "Succeeded")


def test_jobs_are_seen_to_change_while_a_run_goes_on(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    open_experiment(page, expid)
    press(page, "Start")
    expect(page.locator("pre[role=log]").last).to_contain_text("submitted", timeout=COMMAND_MS)
    expect_end(page, "Succeeded")
    open_experiment(page, expid)
    expect(page.get_by_label("Progress")).to_contain_text("COMPLETED 4")


def test_a_run_is_stopped_from_the_browser(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "long")
    open_experiment(page, expid)
    press(page, "Start")
    open_experiment(page, expid)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running", timeout=COMMAND_MS)
    press(page, "Stop")
    expect_end(page, "Succeeded")
    open_experiment(page, expid)
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("Running", timeout=COMMAND_MS)


def test_the_form_shows_the_exact_command_before_anything_happens(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    open_experiment(page, expid)
    page.get_by_role("link", name=re.compile("^Restart")).first.click()
    expect(page.locator("#preview")).to_contain_text(f"recovery --all --save --noplot {expid}")
    page.get_by_label("Force").check()
    expect(page.locator("#preview")).to_contain_text("--force")
    assert portal.http.get(f"/v4/actions?expid={expid}").body["results"] == []


def test_the_status_of_selected_jobs_is_set_at_once(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    page.goto(f"/jobs/job/?q={expid}")
    for box in page.locator("input.action-select").all()[:2]:
        box.check()
    ask_for_chosen_rows(page, "Set status…")
    page.get_by_label("Status", exact=False).first.select_option("SUSPENDED")
    confirm(page, "Set status")
    expect_end(page, "Succeeded")
    open_experiment(page, expid)
    expect(page.get_by_label("Progress")).to_contain_text("SUSPENDED 2", timeout=COMMAND_MS)


def test_what_is_not_possible_says_why(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    open_experiment(page, expid)
    start = page.locator("[aria-disabled=true]", has_text="Start").first
    expect(start).to_have_attribute("title", re.compile("no job list yet"))


def test_a_viewer_sees_everything_and_no_button(open_page: Callable[..., Page], portal: Portal) -> None:
    expid = mirrored(portal, "small")
    page = open_page(portal.url)
    sign_in(page, portal.create_user("Viewer"))
    open_experiment(page, expid)
    expect(page.locator(".page-tools a, .page-tools [aria-disabled]")).to_have_count(0)


def test_the_trail_of_an_experiment_is_read_in_the_browser(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    open_experiment(page, expid)
    press(page, "Generate")
    expect_end(page, "Succeeded")
    page.goto(f"/audit/auditentry/?q={expid}")
    expect(page.locator("#result_list")).to_contain_text("Action succeeded")
    expect(page.locator("#result_list")).to_contain_text(portal.credentials.username)


@pytest.mark.parametrize(
    "path", ["/", "/experiments/experiment/", "/jobs/job/", "/experiments/action/", "/audit/auditentry/"]
)
def test_a_page_fits_a_phone_in_the_dark(open_page: Callable[..., Page], portal: Portal, path: str) -> None:
    page = open_page(portal.url, viewport={"width": 375, "height": 800}, color_scheme="dark")
    sign_in(page, portal.credentials)
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 3 * 64


def test_the_api_is_documented_without_an_outside_address(page: Page) -> None:
    page.goto("/v4/docs")
    expect(page.get_by_text("Act on an experiment").first).to_be_visible(timeout=COMMAND_MS)
