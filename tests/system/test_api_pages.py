"""The pages of the API in a real Chromium, under the policy that they are served with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import sign_in
from tests.support import web
from tests.support.services import Credentials, Portal
from tests.system.test_hostile_text import WATCH

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server alone: what it is asked for waits for a worker."""
    made = web.serve(tmp_path_factory.mktemp("web"), static_files)
    yield made
    made.kill()


@pytest.fixture
def visit(server: Portal, open_page: Callable[..., Page]) -> Callable[[str], Page]:
    """Open the pages as somebody; they hear when the policy refuses something."""

    def as_somebody(name: str) -> Page:
        page = open_page(server.url)
        page.add_init_script(WATCH)
        sign_in(page, Credentials(name, web.PASSWORD, ""))
        return page

    return as_somebody


def form(page: Page, name: str) -> Locator:
    """Open a form of the page."""
    found = page.locator(f"details#{name}")
    found.locator("summary").first.click()
    return found.locator("form.typed")


def test_a_person_sees_what_an_action_would_do_and_asks_for_it(visit: Callable[[str], Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments")
    page.get_by_role("link", name="a000", exact=True).click()
    generate = form(page, "act-generate")
    generate.get_by_label("Reason").fill("first year")
    generate.get_by_role("button").click()
    expect(page.get_by_text('"dry_run": true')).to_be_visible()
    again = page.locator("details#act-generate form.typed")
    expect(again.get_by_label("Reason")).to_have_value("first year")
    again.get_by_label("Dry run").select_option("")
    again.get_by_role("button").click()
    page.wait_for_url("**/v4/actions/*")
    expect(page.get_by_text('"reason": "first year"')).to_be_visible()
    form(page, "cancel").get_by_role("button").click()
    expect(page.get_by_text('"state": "cancelled"')).to_be_visible()
    page.get_by_role("link", name="Audit trail").click()
    expect(page.get_by_text("action.cancelled").first).to_be_visible()
    assert page.evaluate("window.told") == []


def test_a_person_changes_a_description_and_the_status_of_jobs(visit: Callable[[str], Page]) -> None:
    page = visit("admin")
    page.goto("/v4/experiments/a000")
    change = form(page, "partial_update-update_description")
    change.get_by_label("Description").fill("Second control run")
    change.get_by_role("button").click()
    expect(page.get_by_text('"dry_run": true')).to_be_visible()
    change = page.locator("details#partial_update-update_description form.typed")
    change.get_by_label("Dry run").select_option("")
    change.get_by_role("button").click()
    page.wait_for_url("**/v4/actions/*")
    page.goto("/v4/experiments/a000/jobs")
    jobs = form(page, "partial_bulk_update-set_status")
    jobs.get_by_label("Status (required)").select_option("READY")
    jobs.get_by_label("Filter status").fill("FAILED")
    jobs.get_by_role("button").click()
    expect(page.get_by_text('"kind": "set_status"')).to_be_visible()
    assert page.evaluate("window.told") == []


def test_a_person_sends_json_and_asks_what_a_route_takes(visit: Callable[[str], Page]) -> None:
    page = visit("admin")
    page.goto("/v4/tokens")
    raw = page.locator("details#create")
    raw.locator("summary").first.click()
    raw.get_by_role("link", name="Raw data").click()
    raw.get_by_label("Content").fill('{"name": "mine"}')
    raw.locator("form.raw").get_by_role("button").click()
    expect(page.get_by_text('"name": "mine"').first).to_be_visible()
    page.goto("/v4/tokens")
    page.get_by_role("button", name="OPTIONS").click()
    expect(page.get_by_text('"parses"')).to_be_visible()
    assert page.url.endswith("/v4/tokens")
    assert page.evaluate("window.told") == []


def test_a_viewer_finds_filters_and_no_form(visit: Callable[[str], Page]) -> None:
    page = visit("viewer")
    page.goto("/v4/experiments")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Owner", exact=True).fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text('"total_items": 0')).to_be_visible()
    page.goto("/v4/experiments/a000")
    expect(page.locator("details.said")).to_have_count(0)
    assert page.evaluate("window.told") == []
