"""Hostile text wherever it can be stored, looked at in a real Chromium: it is shown as text, and nothing runs.

The same walk shows that no page asks for what the Content-Security-Policy does not allow.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import be_signed_in
from tests.support import web
from tests.support.corpus import HTML, TEMPLATE
from tests.support.services import Credentials, Portal

pytestmark = pytest.mark.system

HOSTILE = "".join((*HTML[:3], TEMPLATE[0], HTML[4]))
WATCH = """
window.told = [];
window.pwned = () => window.told.push("hostile text ran");
document.addEventListener("securitypolicyviolation", event =>
    window.told.push(`${event.violatedDirective} of ${event.blockedURI} ${event.sourceFile} ${event.sample}`));
"""
PAGES = (
    "/",
    "/experiments/",
    "/experiments/~1/",
    f"/experiments/~1/?log={web.LOG}",
    "/experiments/~1/configuration/",
    "/experiments/~1/request/update_description/",
    "/jobs/",
    "/experiments/~/jobs/~2/",
    "/experiments/~/jobs/~3/",
    "/actions/",
    "/actions/1/",
    "/runs/",
    "/runs/1/",
    "/sites/",
    "/sites/1/change/",
    "/sites/1/request/create/",
    "/audit/",
    "/tokens/",
    "/tokens/add/",
    "/people/",
    "/people/~1/",
    "/groups/",
    "/groups/1/change/",
    "/health/",
    "/password_change/",
    "/v4",
    "/v4/experiments",
    "/v4/experiments/a000",
    "/v4/experiments/a000/jobs",
    "/v4/experiments/a000/wrappers",
    "/v4/actions",
    "/v4/actions/1",
    "/v4/audit",
    "/v4/tokens",
    "/v4/sites",
    "/v4/docs",
)
SHOWN = (
    "/experiments/~1/",
    f"/experiments/~1/?log={web.LOG}",
    "/actions/1/",
    "/audit/",
    "/tokens/",
    "/",
    "/v4/experiments/a000/jobs",
    "/v4/actions/1",
    "/v4/audit",
    "/v4/tokens",
)


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server with hostile text in its rows, logs and outputs."""
    made = web.serve(tmp_path_factory.mktemp("web"), static_files, HOSTILE)
    yield made
    made.tear_down()


@pytest.fixture
def watched(server: Portal, open_page: Callable[..., Page]) -> Page:
    """A page that has signed in, and that hears when a script of others runs or something is refused."""
    page = open_page(server.url)
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.add_init_script(WATCH)
    be_signed_in(page, server, Credentials("admin", web.PASSWORD, ""))
    return page


def test_no_page_runs_what_is_stored_or_asks_for_what_is_not_allowed(watched: Page) -> None:
    told = {}
    for path in PAGES:
        watched.goto(path, wait_until="networkidle")
        told[path] = watched.evaluate("window.told")
    assert {path: said for path, said in told.items() if said} == {}


@pytest.mark.parametrize("path", SHOWN)
def test_hostile_text_is_shown_as_it_was_written(watched: Page, path: str) -> None:
    watched.goto(path)
    expect(watched.get_by_text("<script>pwned()</script>").first).to_be_visible()
    assert watched.evaluate("window.told") == []


def test_a_page_is_told_when_something_is_not_allowed(watched: Page) -> None:
    watched.goto("/")
    watched.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=pwned()>')")
    watched.wait_for_function("window.told.length > 0")
    assert "script-src" in watched.evaluate("window.told[0]")


def test_the_documentation_of_the_api_works_under_the_policy(watched: Page) -> None:
    watched.goto("/v4/docs")
    watched.get_by_text("Ask who you are").click()
    watched.get_by_role("button", name="Try it out").click()
    watched.get_by_role("button", name="Execute").click()
    expect(watched.get_by_text('"authenticated": true').first).to_be_visible()
    assert watched.evaluate("window.told") == []
