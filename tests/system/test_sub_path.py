"""Every page in a real Chromium, of a portal that has a path of a host behind a proxy that forwards nothing else."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.urls import URLResolver, get_resolver, resolve
from playwright.sync_api import ConsoleMessage, Error, Page, expect

from tests.support import web
from tests.support.axe import AT_WORK, list_complaints_in_both
from tests.support.path_proxy import PathProxy, forwarding
from tests.support.services import Http, Portal

pytestmark = pytest.mark.system

PATH = "/portal/x/"
PAGES = ("change", "delete", "history")
# A link in a drawing has an object as `href`.
LINKS = """() => [...document.querySelectorAll('a[href]')].map(
    (link) => new URL(link.getAttribute('href'), document.baseURI).href)"""
# A field of a form may be called `action`.
FORMS = """() => [...document.querySelectorAll('form')].map(
    (form) => new URL(form.getAttribute('action') ?? '', location).href)"""
# Where the walk begins: what no page of the console leads to besides.
BEGINNINGS = (
    *("", "v4", "v4/docs", "health/", "search/?q=a", "healthz", "metrics", "jsi18n/", "password_change/done/"),
    *("invitation/", "v4/auth/verify-token", "v4/experiments/a000/runs/1/user-metrics"),
    "v4/experiments/a000/jobs/a000_SIM/logs/a000_SIM.1.out",
    *("actions/1/output/0/", f"experiments/~1/log/{web.LOG}/", "experiments/~/jobs/~2/log/a000_SIM.1.out/"),
    "jobs/request/set_status/?experiment=1",
)
# The page of Swagger UI.
OF_OTHERS = ("v4/docs",)
# Forms are sent to them, scripts fetch them, an identity provider leads to them, or there are no such rows.
NOT_WALKED = (
    *("/approve", "/call-lost", "/cancel", "/reject", "/end", "/call-empty", "<experiment_key:object_id>/program"),
    *("logout", "autocomplete", "grid/data", "graph/data", "timeline/data", "request/<str:name>/form", "search/offers"),
    "search/experiments/<int:site_id>",
    *(f"{name}/<path:object_id>/{page}" for name in ("site-accounts", "site-policies", "site-roles") for page in PAGES),
    *("failed-sign-ins/<path:object_id>/delete", "sites/<path:object_id>/delete", "sites/<path:object_id>/history"),
    *("notes/<int:note_id>", "<experiment_key:object_id>/notes", "/remove", "jobs/views", "<job_key:object_id>/why"),
    *(f"people/<row_name:object_id>/{page}" for page in ("close", "reopen", "unlock", "reset_second_factor", "delete")),
    *(f"teams/<row_name:object_id>/{page}" for page in ("offers", "people", "coverage", "experiments")),
    *("teams/<row_name:object_id>/invitations", "/withdraw", "invitation/join", "invitation/account", "teams/preview"),
    *("r/<path:content_type_id>/<path:object_id>", "^(?P<app_label>auth|experiments|access|audit|jobs)/$"),
)


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server under the path."""
    made = web.serve(tmp_path_factory.mktemp("web"), static_files, PORTAL_PATH=PATH)
    yield made
    made.tear_down()


@pytest.fixture
def proxy(server: Portal) -> Iterator[PathProxy]:
    """What people see of the host."""
    with forwarding(PATH, server.port) as made:
        yield made
    assert made.strays == []


@pytest.fixture
def page(proxy: PathProxy, open_page: Callable[..., Page]) -> Iterator[Page]:
    """A page that is signed in, and whose console stays empty but for the status of what it goes to."""
    opened = open_page(proxy.url)
    complaints: list[str] = []

    def note(line: ConsoleMessage) -> None:
        if line.type == "error" and line.location["url"] != opened.url and opened not in AT_WORK:
            complaints.append(f"{opened.url}: {line.text}")

    opened.on("console", note)
    opened.goto(PATH)
    opened.fill("input[name=username]", "admin")
    opened.fill("input[name=password]", web.PASSWORD)
    opened.click("[type=submit]")
    opened.wait_for_url(proxy.url + PATH)
    yield opened
    assert complaints == []


def list_routes(urls: URLResolver, before: str = "") -> Iterator[str]:
    """Yield the routes of all pages that have a name, as patterns."""
    for url in urls.url_patterns:
        if isinstance(url, URLResolver):
            yield from list_routes(url, before + str(url.pattern))
        elif url.name:
            yield before + str(url.pattern)


@dataclass
class Walk:
    """A way through all pages that links lead to: each route once."""

    page: Page
    root: str
    seen: dict[str, str] = field(default_factory=dict)
    complaints: dict[str, list[str]] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)

    def go(self) -> None:
        self.waiting.extend(self.root + address for address in BEGINNINGS)
        while self.waiting:
            address = self.waiting.popleft()
            route = self._find_route(address)
            if route not in self.seen:
                self.seen[route] = address
                self._visit(address)
                self._look_for_complaints(route)

    def _find_route(self, address: str) -> str:
        assert address.startswith(self.root), f"{self.page.url} leads to {address}"
        return resolve("/" + urlsplit(address).path.removeprefix(PATH)).route

    def _visit(self, address: str) -> None:
        try:
            self.page.goto(address)
        except Error as error:
            if "Download is starting" not in str(error):
                raise
            return
        for form in self.page.evaluate(FORMS):
            self._find_route(form)
        links = (link.partition("#")[0] for link in self.page.evaluate(LINKS))
        self.waiting.extend(link for link in links if not link.startswith("mailto:"))

    def _look_for_complaints(self, route: str) -> None:
        is_page = self.page.evaluate("document.contentType === 'text/html'")
        if is_page and route not in OF_OTHERS and (found := list_complaints_in_both(self.page)):
            self.complaints[route] = found


def test_every_page_stays_below_the_path_and_hinders_nobody(page: Page, proxy: PathProxy) -> None:
    walk = Walk(page, proxy.url + PATH)
    walk.go()
    assert walk.complaints == {}
    left = {route.removesuffix("/") for route in {*list_routes(get_resolver())} - {*walk.seen}}
    assert [route for route in left if not (route.startswith("login") or route.endswith(NOT_WALKED))] == []


def test_a_form_leads_to_the_action_that_it_asks_for(page: Page) -> None:
    page.goto(f"{PATH}experiments/")
    page.get_by_role("link", name="a000", exact=True).first.click()
    page.locator(".page-head summary").click()
    page.get_by_role("link", name=re.compile("^Update description")).first.click()
    page.get_by_label("Description").fill("Below a path")
    page.get_by_role("button", name=re.compile("^Update description")).click()
    page.wait_for_url(f"**{PATH}actions/*/")
    expect(page.get_by_text("Below a path").first).to_be_visible()


def test_the_cookies_of_a_session_are_sent_below_the_path_only(page: Page) -> None:
    assert {cookie.get("path") for cookie in page.context.cookies()} == {PATH.rstrip("/")}


def test_a_page_of_the_api_sends_its_form(page: Page) -> None:
    page.goto(f"{PATH}v4/tokens")
    form = page.locator("details", has_text="name").first
    form.locator("summary").first.click()
    form.get_by_label("Name").first.fill("below a path")
    form.get_by_role("button").first.click()
    expect(page.get_by_role("region", name="Answer")).to_contain_text("below a path")


def test_an_action_is_asked_for_and_found_through_the_api(server: Portal, proxy: PathProxy) -> None:
    client = Http(proxy.url, server.credentials.token)
    asked = client.post(f"{PATH}v4/experiments", {"description": "Below a path", "hpc": "local"})
    assert asked.status == 202
    assert client.get(asked.headers["Location"]).body["url"] == asked.headers["Location"]


def test_the_document_names_the_path_as_its_server(server: Portal, proxy: PathProxy) -> None:
    document = Http(proxy.url, server.credentials.token).get(f"{PATH}v4/schema?format=json").body
    assert document["servers"] == [{"url": PATH.rstrip("/")}]
    assert "/v4/experiments" in document["paths"]


def test_a_proxy_may_take_the_path_off(server: Portal) -> None:
    answer = server.http.get("/v4")
    assert answer.body["experiments"] == f"{server.url}{PATH}v4/experiments"
