"""The pages of the API in a real Chromium, under the policy that they are served with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from tests.conftest import be_signed_in
from tests.support import web
from tests.support.axe import list_complaints
from tests.support.services import Credentials, Portal
from tests.support.waiting import wait_for
from tests.system.test_hostile_text import WATCH

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server alone: what it is asked for waits for a worker."""
    made = web.serve(tmp_path_factory.mktemp("web"), static_files)
    yield made
    made.tear_down()


@pytest.fixture
def visit(server: Portal, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Open the pages as somebody; they hear when the policy refuses something."""

    def as_somebody(name: str, **options: Any) -> Page:
        page = open_page(server.url, **options)
        page.add_init_script(WATCH)
        be_signed_in(page, server, Credentials(name, web.PASSWORD, ""))
        return page

    return as_somebody


def await_script(page: Page) -> None:
    """Wait until the script of the page has run: before, its forms are those of HTML."""
    wait_for(lambda: _read_state(page), is_enough=lambda state: state == "complete")


def _read_state(page: Page) -> str:
    """Return how far a page is. The page would have to use eval to wait for it, which the policy refuses."""
    try:
        return str(page.evaluate("document.readyState"))
    except Error:  # it is left for another page just now
        return ""


def form(page: Page, name: str) -> Locator:
    """Open a form of the page."""
    await_script(page)
    found = page.locator(f"details#{name}")
    found.locator("summary").first.click()
    return found.locator("form.typed")


def answer(page: Page) -> Locator:
    """Return what the request of the page answered."""
    return page.get_by_role("region", name="Answer")


def test_a_person_sees_what_an_action_would_do_and_asks_for_it(visit: Callable[..., Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments")
    page.get_by_role("link", name="a000", exact=True).click()
    page.wait_for_url("**/v4/experiments/a000*")
    generate = form(page, "act-generate")
    generate.get_by_label("Reason").fill("first year")
    generate.get_by_role("button").click()
    expect(answer(page)).to_contain_text('"dry_run": true')
    await_script(page)  # the answer is another document
    again = page.locator("details#act-generate form.typed")
    expect(again.get_by_label("Reason")).to_have_value("first year")
    again.get_by_label("Dry run").select_option("")
    again.get_by_role("button").click()
    page.wait_for_url("**/v4/actions/*")
    expect(answer(page)).to_contain_text('"reason": "first year"')
    form(page, "cancel").get_by_role("button").click()
    expect(answer(page)).to_contain_text('"state": "cancelled"')
    page.get_by_role("link", name="Audit trail").click()
    expect(answer(page)).to_contain_text("action.cancelled")
    assert page.evaluate("window.told") == []


def test_a_person_changes_a_description(visit: Callable[..., Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments/a000")
    change = form(page, "partial_update-update_description")
    expect(change.get_by_label("Description")).to_have_value("Control run")
    change.get_by_label("Description").fill("Second control run")
    change.get_by_label("Dry run").select_option("")
    change.get_by_role("button").click()
    page.wait_for_url("**/v4/actions/*")
    expect(answer(page)).to_contain_text('"kind": "update_description"')
    form(page, "cancel").get_by_role("button").click()
    expect(answer(page)).to_contain_text('"state": "cancelled"')
    assert page.evaluate("window.told") == []


def test_a_person_sees_what_setting_the_status_of_jobs_would_do(visit: Callable[..., Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments/a000/jobs")
    jobs = form(page, "partial_bulk_update-set_status")
    jobs.get_by_label("Status (required)").select_option("READY")
    jobs.get_by_label("Filter status").fill("FAILED")
    jobs.get_by_role("button").click()
    expect(answer(page)).to_contain_text('"kind": "set_status"')
    assert page.evaluate("window.told") == []


def test_a_person_sends_json_and_asks_what_a_route_takes(visit: Callable[..., Page]) -> None:
    page = visit("admin")
    page.goto("/v4/tokens")
    raw = page.locator("details#create")
    raw.locator("summary").first.click()
    raw.get_by_role("link", name="Raw data").click()
    raw.get_by_label("Content").fill('{"name": "mine"}')
    raw.locator("form.raw").get_by_role("button").click()
    expect(answer(page)).to_contain_text('"name": "mine"')
    page.goto("/v4/tokens")
    page.get_by_role("button", name="OPTIONS").click()
    expect(answer(page)).to_contain_text('"parses"')
    assert page.url.endswith("/v4/tokens")
    assert page.evaluate("window.told") == []


def test_a_double_click_asks_once_and_reloading_asks_nothing(visit: Callable[..., Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments")
    create = form(page, "create-create")
    create.get_by_label("Description").fill("Asked once")
    create.get_by_label("Dry run").select_option("")
    create.get_by_role("button").dblclick()
    page.wait_for_url("**/v4/actions/*")
    page.reload()
    page.goto("/v4/actions?kind=create")
    assert answer(page).inner_text().count('"kind": "create"') == 1


def test_a_person_makes_a_token_and_revokes_it(visit: Callable[..., Page]) -> None:
    page = visit("viewer")
    page.goto("/v4/tokens")
    create = form(page, "create")
    create.get_by_label("Name").fill("short-lived")
    create.get_by_role("button").click()
    expect(answer(page)).to_contain_text('"token": ')
    page.reload()
    expect(answer(page)).not_to_contain_text('"token": ')
    answer(page).get_by_role("link").first.click()
    page.wait_for_url("**/v4/tokens/*")
    form(page, "destroy").get_by_role("button").click()
    expect(answer(page)).to_contain_text("HTTP 204")  # before, the token itself stands there as HTTP 200
    page.goto("/v4/tokens")
    expect(answer(page)).to_contain_text('"results": []')
    assert page.evaluate("window.told") == []


def test_a_person_is_told_that_nothing_answered_and_keeps_what_was_typed(visit: Callable[..., Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments/a000/jobs")
    jobs = form(page, "partial_bulk_update-set_status")
    jobs.get_by_label("Filter status").fill("FAILED")
    page.route("**/v4/**", lambda route: route.abort())
    with page.expect_event("dialog", lambda dialog: "no answer" in dialog.message) as told:
        page.once("dialog", lambda dialog: dialog.accept())
        jobs.get_by_role("button").click()
    assert told.value
    expect(jobs.get_by_label("Filter status")).to_have_value("FAILED")


def test_a_viewer_finds_filters_and_no_form(visit: Callable[..., Page]) -> None:
    page = visit("viewer")
    page.goto("/v4/experiments")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Owner", exact=True).fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(answer(page)).to_contain_text('"total_items": 0')
    page.goto("/v4/experiments/a000")
    expect(page.locator("details.said")).to_have_count(0)
    assert page.evaluate("window.told") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Callable[..., Page], scheme: str) -> None:
    page = visit("admin", color_scheme=scheme)
    for path in ("/v4", "/v4/tokens", "/v4/actions/1", "/v4/audit", "/v4/experiments/nothing"):
        page.goto(path)
        assert list_complaints(page) == []
    page.goto("/v4/experiments/a000/jobs")
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert list_complaints(page) == []
    page.get_by_role("button", name="Close").click()
    refused = form(page, "partial_bulk_update-set_status")
    refused.get_by_label("Filter chunks").fill("x[")
    refused.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert list_complaints(page) == []


def test_a_page_is_no_wider_than_a_phone(visit: Callable[..., Page]) -> None:
    page = visit("admin", viewport={"width": 390, "height": 844})
    for path in ("/v4", "/v4/experiments", "/v4/experiments/a000", "/v4/audit", "/v4/tokens"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
