"""The configuration of a real experiment in a browser: found in, and compared with that of a run."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from experiments.autosubmit.store import locate
from tests.conftest import sign_in
from tests.support.configured import write
from tests.support.services import Portal
from tests.support.waiting import wait_for
from tests.support.workflows import KINDS

# A page takes well under a second, unless the machine does much else.

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
MORE = "EXPERIMENT:\n  MEMBERS: fc0 fc9\nNEW: {TOKEN: hunter2, PATTERN: '<b>bold</b>'}\n"


@pytest.fixture
def opened(portal: Portal, open_page: Callable[..., Page]) -> Page:
    """The page with the configuration of an experiment whose files were changed after its job list was made."""
    expid = KINDS["small"]().make(portal.autosubmit)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}/runs").body["runs"])
    write(locate(portal.autosubmit.home).experiment_folder(expid), {"conf/z_more.yml": MORE})
    page = open_page(portal.url)
    sign_in(page, portal.credentials)
    page.goto(f"/experiments/?q={expid}")
    page.get_by_role("link", name=expid, exact=True).first.click()
    page.get_by_role("link", name="Configuration", exact=True).click()
    page.wait_for_url("**/configuration/")  # its script has run
    return page


def test_a_value_is_found_and_the_rest_is_hidden(opened: Page) -> None:
    opened.get_by_label("Find in the configuration").fill("experiment.members fc9")
    expect(opened.get_by_text("fc0 fc9")).to_be_visible()
    expect(opened.locator("#tree .leaf:visible")).to_have_count(1)
    opened.get_by_label("Find in the configuration").fill("")
    opened.get_by_role("button", name="Open all").click()
    expect(opened.get_by_text("<b>bold</b>")).to_be_visible()
    expect(opened.locator("#tree .masked").first).to_be_visible()
    opened.get_by_role("button", name="Close all").click()
    expect(opened.get_by_text("<b>bold</b>")).to_be_hidden()


def test_what_has_changed_since_a_run_is_listed_key_by_key(opened: Page) -> None:
    opened.get_by_label("Which configuration").select_option(index=1)
    opened.get_by_role("button", name="Show", exact=True).click()
    changed = opened.get_by_role("row", name="EXPERIMENT.MEMBERS changed")
    expect(changed).to_contain_text("fc0 fc9")
    expect(opened.get_by_role("row", name="NEW.TOKEN added ********")).to_be_visible()
    expect(opened.get_by_role("heading", name="between run 1 and now")).to_be_visible()
