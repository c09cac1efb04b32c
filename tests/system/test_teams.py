"""The page of a team in a real Chromium: the count while a line is written, and a person added by name."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import be_signed_in
from tests.support.axe import list_complaints
from tests.support.services import Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
ANA = """
from django.contrib.auth.models import User
User.objects.create_user("ana", first_name="Ana", last_name="Lee")
"""


def test_a_team_is_made_with_a_live_count_and_somebody_is_added_by_name(
    page: Page, portal: Portal, open_page: Callable[..., Page]
) -> None:
    expid = portal.make_experiment("small")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    portal.manage("shell", "--no-imports", "-c", ANA)
    page.goto("/teams/add/")
    page.get_by_label("Name", exact=True).fill("Ocean")
    page.get_by_label("Expid pattern").fill(f"{expid[:3]}?")
    expect(page.locator("#coverage-preview")).to_contain_text("1 experiment now")
    page.get_by_role("button", name="Make the team").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Ocean")
    page.locator("#id_person").press_sequentially("lee")
    page.locator("[data-value=ana]").click()
    page.get_by_role("button", name="Add to the team").click()
    expect(page.locator("table").first).to_contain_text("Ana Lee")
    phone = open_page(portal.url, color_scheme="dark", viewport={"width": 375, "height": 800})
    be_signed_in(phone, portal, portal.credentials)
    for path in ("/teams/", "/teams/ocean/", "/people/", "/people/ana/", "/people/ana/edit/"):
        phone.goto(path)
        page.goto(path)
        assert (path, list_complaints(phone), list_complaints(page)) == (path, [], [])
        assert phone.evaluate("document.documentElement.scrollWidth") <= 375
