"""The pictures of an experiment in a real Chromium, on the real Autosubmit."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.services import Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
DRAWN = "canvas[data-jobs]"


def open_grid(page: Page, portal: Portal) -> str:
    """Open the grid of an experiment from its page, and return its expid."""
    expid = portal.make_experiment("small")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["total"])
    page.goto(f"/experiments/?q={expid}")
    page.get_by_role("link", name=expid, exact=True).first.click()
    page.get_by_role("link", name="Grid", exact=True).click()
    expect(page.locator(DRAWN)).to_have_attribute("data-jobs", "4")
    return expid


def test_jobs_chosen_in_the_grid_get_another_status(page: Page, portal: Portal) -> None:
    expid = open_grid(page, portal)
    page.get_by_role("button", name="Choose jobs").click()
    page.locator("canvas").press("ArrowRight")
    page.locator("canvas").press("Space")
    page.locator("canvas").press("ArrowDown")
    page.locator("canvas").press("Space")
    page.get_by_role("button", name="Set status…", exact=True).click()
    page.get_by_label("Status", exact=False).first.select_option("SUSPENDED")
    page.get_by_role("button", name=re.compile("^Set status")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Succeeded")
    counts = portal.http.get(f"/v4/experiments/{expid}").body["status_counts"]
    assert counts["SUSPENDED"] == 2


def test_the_picture_follows_a_change(page: Page, portal: Portal) -> None:
    expid = open_grid(page, portal)
    page.locator("canvas").press("ArrowRight")
    expect(page.locator(".picture-told")).to_contain_text(expid)
    name = page.locator(".picture-told").inner_text().split(" · ")[0]
    portal.http.patch(f"/v4/experiments/{expid}/jobs/{name}?status=SUSPENDED", {})
    expect(page.locator(".picture-told")).to_contain_text(f"{name} · SUSPENDED")
    expect(page.locator("table .chip", has_text="SUSPENDED")).to_be_visible()


def test_each_picture_is_drawn_in_light_and_dark_without_an_error(page: Page, portal: Portal) -> None:
    open_grid(page, portal)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.get_by_role("link", name="Graph", exact=True).click()
        expect(page.locator("svg.sections a").first).to_be_visible()
        page.get_by_role("link", name=re.compile("^All .* jobs$")).click()
        expect(page.locator(DRAWN)).to_be_visible()
        page.get_by_role("link", name="Timeline", exact=True).click()
        expect(page.get_by_text("No job was sent yet.")).to_be_visible()
