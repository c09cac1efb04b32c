"""The console in a real Chromium: what an operator does at 3 a.m., on the real Autosubmit."""

import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, Response, expect

from tests.conftest import be_signed_in, sign_in
from tests.support.services import Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


def mirrored(portal: Portal, kind: str) -> str:
    """Make an experiment as from a terminal and wait until the portal shows it, with its jobs if it has any."""
    expid = portal.make_experiment(kind)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    wait_for(lambda: kind == "waiting" or portal.http.get(f"/v4/experiments/{expid}").body["total"])
    return expid


def open_experiment(page: Page, expid: str) -> None:
    page.goto(f"/experiments/?q={expid}")
    page.get_by_role("link", name=expid, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(expid)


def press(page: Page, verb: str) -> None:
    """Follow the button to the form page and confirm there."""
    find_button(page, verb).click()
    confirm(page, verb)


def find_button(page: Page, verb: str) -> Locator:
    """Return the button, or the entry of the menu of what else can be done, which is opened then."""
    more, button = page.locator(".page-head summary"), page.get_by_role("link", name=re.compile(rf"^{verb}…?$"))
    expect(more.or_(button).first).to_be_visible()
    if more.count() and not button.count():
        more.click()
    return button.first


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
    expect(page.get_by_role("heading", level=1)).to_contain_text(state)


def test_an_experiment_is_created_from_a_template_generated_and_started_in_six_clicks(
    page: Page, portal: Portal
) -> None:
    page.goto("/experiments/")
    clicks = count_clicks(page)
    page.get_by_role("link", name="Create experiment").first.click()
    page.get_by_label("Description").fill('Made in a browser, <b>not bold</b> & "quoted"')
    page.get_by_label("Template: dummy").check()
    page.get_by_role("button", name="Create experiment").click()
    for verb in ("Generate", "Start"):
        expect_end(page, "Succeeded")
        page.get_by_role("button", name=re.compile(rf"^{verb} \w{{4}}$")).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"{verb} ")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running")
    assert clicks() <= 6
    page.get_by_role("link", name=re.compile(r"^Open \w{4}$")).click()
    expect(page.get_by_text('Made in a browser, <b>not bold</b> & "quoted"').first).to_be_visible()


def count_clicks(page: Page) -> Callable[[], int]:
    """Count from now on what somebody clicks at, on all pages of the tab; return how to ask for the number."""
    made: list[str] = []

    def tell(tag: str) -> None:
        made.append(tag)

    page.expose_function("tellClick", tell)
    page.add_init_script(
        "addEventListener('click', (event) => event.isTrusted && tellClick(event.target.tagName), true)"
    )
    page.reload()
    return lambda: len(made)


def test_the_form_of_a_new_experiment_shows_only_the_fields_of_the_chosen_way(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    page.goto("/sites/1/request/create/")
    expect(page.get_by_label("Git repo", exact=True)).to_be_hidden()
    page.get_by_label("Git repository", exact=True).check()
    expect(page.get_by_label("Git repo", exact=True)).to_be_visible()
    page.get_by_label("Copy of an experiment").check()
    expect(page.get_by_label("Git repo", exact=True)).to_be_hidden()
    page.get_by_label("Description").fill("A copy")
    page.get_by_label("Copy", exact=True).press_sequentially(expid[:3])
    page.get_by_role("option", name=expid).click()
    expect(page.get_by_label("Copy", exact=True)).to_have_value(expid)
    expect(page.locator("#preview")).to_contain_text(f"--copy={expid}")


def test_previews_that_are_given_up_write_no_error_into_the_console_of_the_browser(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    complaints = complaints_of(page)
    page.route("**/preview/", lambda held: None)
    with page.expect_request("**/preview/"):
        page.goto(f"/experiments/{expid}/request/set_status/")
    with page.expect_request("**/preview/"):
        page.get_by_label("Reason").fill("A newer preview takes the place of the first")
    page.get_by_role("link", name="Experiments", exact=True).click()
    expect(page).to_have_title(re.compile("^Experiments"))
    assert complaints == []


def complaints_of(page: Page) -> list[str]:
    """Return what is written into the browser's console as an error, as it comes."""
    made: list[str] = []

    def note(line: ConsoleMessage) -> None:
        if line.type == "error":
            made.append(line.text)

    page.on("console", note)
    return made


def test_jobs_are_seen_to_change_while_a_run_goes_on(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    open_experiment(page, expid)
    press(page, "Start")
    expect(page.locator("pre[role=log]").last).to_contain_text("submitted")
    expect_end(page, "Succeeded")
    open_experiment(page, expid)
    expect(page.get_by_label("Progress")).to_contain_text("COMPLETED 4")


def is_tick(response: Response) -> bool:
    return "portal-stamp" in response.request.headers


def test_an_open_tab_gets_a_part_when_something_has_changed_and_only_then(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    open_experiment(page, expid)
    with page.expect_response(lambda response: is_tick(response) and response.status == 204):
        pass
    with page.expect_response(lambda response: is_tick(response) and response.status == 200):
        portal.http.post(f"/v4/experiments/{expid}?action=generate", {})
    expect(page.get_by_role("link", name=re.compile(r"^Generate #\d+$")).first).to_be_visible()
    expect(page.locator("#live-state")).to_have_text("Live")


def test_a_run_is_stopped_from_the_browser(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "long")
    open_experiment(page, expid)
    press(page, "Start")
    open_experiment(page, expid)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Running")
    press(page, "Stop")
    expect_end(page, "Succeeded")
    open_experiment(page, expid)
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("Running")


def test_the_form_shows_the_exact_command_before_anything_happens(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    open_experiment(page, expid)
    find_button(page, "Restart").click()
    expect(page.locator("#preview")).to_contain_text(f"recovery --all --save --noplot {expid}")
    page.get_by_label("Force").check()
    expect(page.locator("#preview")).to_contain_text("--force")
    assert portal.http.get(f"/v4/actions?expid={expid}").body["results"] == []


def test_the_status_of_selected_jobs_is_set_at_once(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    page.goto(f"/jobs/?q={expid}")
    for box in page.locator("input.action-select").all()[:2]:
        box.check()
    ask_for_chosen_rows(page, "Set status…")
    page.get_by_label("Status", exact=False).first.select_option("SUSPENDED")
    confirm(page, "Set status")
    expect_end(page, "Succeeded")
    open_experiment(page, expid)
    expect(page.get_by_label("Progress")).to_contain_text("SUSPENDED 2")


def actions_of(portal: Portal, expid: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = portal.http.get(f"/v4/actions?expid={expid}").body["results"]
    return found


def fill_in_creation(page: Page, description: str) -> None:
    page.goto("/experiments/")
    page.get_by_role("link", name="Create experiment").first.click()
    page.get_by_label("Description").fill(description)
    page.get_by_label("Dummy").check()


def creations(portal: Portal, description: str) -> list[int]:
    """Return the numbers of the actions that were to create an experiment with this description."""
    found = portal.http.get("/v4/actions?kind=create").body["results"]
    return [action["id"] for action in found if action["parameters"]["description"] == description]


def test_a_double_click_makes_one_action(page: Page, portal: Portal) -> None:
    fill_in_creation(page, "Clicked twice")
    page.get_by_role("button", name=re.compile("^Create experiment")).dblclick()
    expect(page.get_by_role("heading", level=1)).to_contain_text("#")
    (number,) = creations(portal, "Clicked twice")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"#{number}")


SEND_AT_ONCE = """times => {
    const form = document.querySelector(".request-form");
    const send = () => fetch(form.action, {method: "POST", body: new FormData(form)}).then(answer => answer.url);
    return Promise.all(Array.from({length: times}, send));
}"""


def test_a_form_that_reaches_the_portal_many_times_at_once_makes_one_action(page: Page, portal: Portal) -> None:
    fill_in_creation(page, "Sent at once")
    led_to = page.evaluate(SEND_AT_ONCE, 8)
    (number,) = creations(portal, "Sent at once")
    assert set(led_to) == {f"{portal.url}/actions/{number}/"}


def test_a_run_that_was_lost_is_asked_for_again_with_one_click(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "long")
    open_experiment(page, expid)
    press(page, "Start")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["is_running"])
    kill_command(portal, actions_of(portal, expid)[0]["id"])
    expect_end(page, "Lost")
    page.get_by_role("link", name="Request again…").click()
    expect(page.locator("#preview")).to_contain_text(f"run {expid}")
    confirm(page, "Start")
    assert [action["kind"] for action in actions_of(portal, expid)] == ["run", "run"]


def kill_command(portal: Portal, action: int) -> None:
    """Kill the launcher of an action and all that it started, as a host does that goes down."""
    pid = (portal.find_directory(action) / "pid").read_text().split()[0]
    os.killpg(int(pid), signal.SIGKILL)


def test_back_after_a_form_that_was_refused_and_then_taken_asks_nothing(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    page.goto(f"/jobs/?q={expid}")
    page.locator("#action-toggle").check()
    ask_for_chosen_rows(page, "Set status…")
    page.wait_for_load_state()  # a script has taken the answer to a form out of the history
    verb = re.compile("^Set status")
    page.locator("form.request-form").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name=verb).click()
    expect(page.locator(".errorlist").first).to_be_visible()
    page.wait_for_load_state()
    page.get_by_label("Status").select_option("SUSPENDED")
    page.get_by_role("button", name=verb).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("#")
    for _ in range(2):
        page.go_back()
        expect(page.locator("#changelist-form")).to_be_visible()
    assert "q=" in page.url


def test_what_destroys_work_asks_why_and_says_what_is_lost(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    portal.http.post(f"/v4/experiments/{expid}?action=run")
    wait_for(lambda: actions_of(portal, expid)[0]["state"] == "succeeded")
    open_experiment(page, expid)
    find_button(page, "Generate").click()
    expect(page.locator("#preview")).to_contain_text(f"{expid} loses the progress of 4 jobs: 4 COMPLETED.")
    expect(page.get_by_text("required: work would be lost")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Generate")).click()
    expect(page.locator(".errorlist")).to_contain_text("Say why")
    page.get_by_label("Reason").fill("Wrong start date")
    confirm(page, "Generate")
    expect_end(page, "Succeeded")


def test_the_confirmation_shows_what_would_change_job_by_job(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "small")
    page.goto(f"/jobs/?q={expid}_20000101_fc0_1_SIM")
    page.get_by_role("link", name=f"{expid}_20000101_fc0_1_SIM").click()
    page.get_by_role("link", name="Set status…").click()
    page.get_by_label("Status", exact=False).first.select_option("READY")
    preview = page.locator("#preview")
    expect(preview.get_by_role("row", name=f"{expid}_20000101_fc0_1_SIM WAITING READY")).to_be_visible()
    expect(preview).to_contain_text("before its parents have completed")
    expect(preview).to_contain_text("1 job follows")


def test_the_run_itself_is_asked_to_set_a_status(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "long")
    open_experiment(page, expid)
    press(page, "Start")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["is_running"])
    page.goto(f"/jobs/?q={expid}_AFTER")
    page.get_by_role("link", name=f"{expid}_AFTER").click()
    page.get_by_role("link", name="Set status while running…").click()
    page.get_by_label("Status", exact=False).first.select_option("SUSPENDED")
    confirm(page, "Set status while running")
    expect_end(page, "Succeeded")


def test_what_is_not_possible_says_why(page: Page, portal: Portal) -> None:
    expid = mirrored(portal, "waiting")
    open_experiment(page, expid)
    page.locator(".page-head summary").click()
    start = page.locator("[aria-disabled=true]", has_text="Start").first
    expect(start).to_contain_text("no job list yet")


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
    page.goto(f"/audit/?q={expid}")
    expect(page.locator("#result_list")).to_contain_text("Action succeeded")
    expect(page.locator("#result_list")).to_contain_text(portal.credentials.username)


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Manager"])
def test_a_member_of_a_group_works_at_the_console(open_page: Callable[..., Page], portal: Portal, role: str) -> None:
    expid = mirrored(portal, "waiting")
    page = open_page(portal.url)
    sign_in(page, portal.create_user(role))
    open_experiment(page, expid)
    buttons = page.locator(".page-tools a")
    expect(buttons.filter(has_text="Generate…")).to_have_count(1 if role == "Manager" else 0)
    expect(buttons.filter(has_text="Update description…")).to_have_count(0 if role == "Viewer" else 1)


# A phone, 1,300 pixels that are magnified twice, and screens.
@pytest.mark.parametrize("width", [375, 650, 1024, 1300, 1600])
def test_no_page_of_the_navigation_is_cut_off(width: int, open_page: Callable[..., Page], portal: Portal) -> None:
    page = open_page(portal.url, viewport={"width": width, "height": 700})
    be_signed_in(page, portal, portal.credentials)
    page.goto("/")
    for link in page.locator(".portal-nav a").all():
        expect(link).to_be_in_viewport(ratio=1)
    assert page.locator(".portal-nav").evaluate("nav => nav.scrollWidth <= nav.clientWidth")


@pytest.mark.parametrize("path", ["/", "/experiments/", "/jobs/", "/actions/", "/audit/"])
def test_a_page_fits_a_phone_in_the_dark(open_page: Callable[..., Page], portal: Portal, path: str) -> None:
    page = open_page(portal.url, viewport={"width": 375, "height": 800}, color_scheme="dark")
    be_signed_in(page, portal, portal.credentials)
    page.goto(path)
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 3 * 64


def test_the_api_is_documented_without_an_outside_address(page: Page) -> None:
    page.goto("/v4/docs")
    expect(page.get_by_text("Act on an experiment").first).to_be_visible()
