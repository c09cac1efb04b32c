"""The first page in a real Chromium, on a run of the real Autosubmit that is stopped, goes on, and is killed."""

import os
import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import be_signed_in
from tests.support.axe import list_complaints
from tests.support.services import Portal
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
HELD = re.compile(r"process (\d+) on \S+ holds the lock")


def start(portal: Portal) -> int:
    """Start a run with a long job; return its process when the job is on its platform."""
    expid = portal.make_experiment("long")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    portal.http.post(f"/v4/experiments/{expid}?action=run", {}, Prefer="wait=60")
    told = wait_for(
        lambda: portal.http.get(f"/v4/experiments/{expid}").body, is_enough=lambda body: bool(body["running"])
    )
    found = HELD.search(told["evidence"])
    assert found
    return int(found[1])


def expect_needs(page: Page, *words: str) -> None:
    """Wait until the open page says that these need somebody, without loading it again."""
    expect(page.locator(".need-word")).to_have_text([*words], timeout=1000 * PATIENCE)
    expect(page).to_have_title(f"({len(words)}) Now · Autosubmit Portal" if words else "Now · Autosubmit Portal")


def test_an_open_tab_tells_of_a_run_that_is_stopped_goes_on_and_is_killed(
    page: Page, portal: Portal, open_page: Callable[..., Page]
) -> None:
    run = start(portal)
    page.goto("/")
    expect_needs(page)
    os.kill(run, signal.SIGSTOP)
    expect_needs(page, "Stopped by a signal")
    expect(page.locator("#page-icon")).to_have_attribute("href", re.compile("logo-alert"))
    dark = open_page(portal.url, color_scheme="dark")
    be_signed_in(dark, portal, portal.credentials)
    dark.goto("/")
    assert (list_complaints(page), list_complaints(dark)) == ([], [])
    os.kill(run, signal.SIGCONT)
    expect_needs(page)
    os.kill(run, signal.SIGKILL)
    expect(page.locator(".need-word").first).to_have_text("Dead", timeout=1000 * PATIENCE)
    page.locator(".need").first.get_by_role("link", name=re.compile("^Start")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Start")
