"""An invitation in a real Chromium: a stranger opens the link of a manager, makes an account, and is in the team."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.axe import list_complaints_in_both
from tests.support.services import Portal

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
PASSWORD = "correct horse battery"


def make_link(page: Page) -> str:
    """Make a team and a link into it, as the first account."""
    page.goto("/teams/add/")
    page.get_by_label("Name", exact=True).fill("Invited")
    page.get_by_role("button", name="Make the team").click()
    page.get_by_label("For whom").fill("Ana Lee")
    page.get_by_role("button", name="Make a link").click()
    return page.locator("#link").inner_text()


def test_a_stranger_opens_a_link_makes_an_account_and_is_in_the_team(
    page: Page, portal: Portal, open_page: Callable[..., Page]
) -> None:
    link = make_link(page)
    page.goto("/teams/invited/")
    expect(page.get_by_role("button", name="Withdraw Ana Lee")).to_be_visible()

    phone = open_page(portal.url, color_scheme="dark", viewport={"width": 375, "height": 800})
    asked: list[str] = []
    phone.on("request", lambda request: asked.extend([request.url, request.headers.get("referer", "")]))
    phone.goto(link)
    expect(phone.get_by_role("heading", level=1)).to_have_text("Join the team Invited")
    assert phone.url == f"{portal.url}/invitation/"
    assert phone.evaluate("document.documentElement.scrollWidth") <= 375
    assert list_complaints_in_both(phone) == []
    phone.get_by_label("Name of the account").fill("invited-ana")
    phone.get_by_label("Password", exact=True).fill(PASSWORD)
    phone.get_by_label("Password confirmation").fill(PASSWORD)
    phone.keyboard.press("Enter")
    phone.wait_for_url("**/teams/invited/")
    expect(phone.locator(".messagelist")).to_contain_text("You are operator of Invited now.")
    secret = link.partition("#")[2]
    assert not [address for address in asked if secret in address.partition("#")[0]]
    assert secret not in portal.log("web")

    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("This invitation is not open")
    assert list_complaints_in_both(page) == []
    page.goto("/teams/invited/")
    expect(page.locator("table").first).to_contain_text("invited-ana")
    assert page.get_by_text("Open invitations").count() == 0
