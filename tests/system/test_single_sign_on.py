"""Single sign-on for real: a portal, its providers, a browser between them, and curl at the API."""

import json
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.support import cas_server, identity_provider
from tests.support.cas_server import CASServer
from tests.support.identity_provider import Provider
from tests.support.services import Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
TEAM = "from autosubmit_portal.access.models import Team; Team.objects.get_or_create(slug='edito', name='EDITO')"


@pytest.fixture
def joined(portal: Portal, running_provider: Provider, running_cas: CASServer) -> Portal:
    """The portal, which has the providers for single sign-on and the team of their rules."""
    if "PORTAL_OIDC_ISSUER" not in portal.variables:
        portal.variables |= {
            "PORTAL_OIDC_ISSUER": running_provider.issuer,
            "PORTAL_OIDC_CLIENT_ID": identity_provider.CLIENT_ID,
            "PORTAL_OIDC_CLIENT_SECRET": identity_provider.CLIENT_SECRET,
            "PORTAL_OIDC_NAME": "Climate DT",
            "PORTAL_OIDC_TEAMS": identity_provider.RULES,
            "PORTAL_CAS_URL": running_cas.url,
            "PORTAL_CAS_NAME": "Earth Sciences",
            "PORTAL_CAS_TEAMS": cas_server.RULES,
        }
        portal.manage("shell", "--no-imports", "-c", TEAM)
        portal.stop("web")
        portal.start("web")
    return portal


def sign_in(page: Page, name: str, by: str = "Climate DT") -> None:
    page.goto("/login/?next=/jobs/")
    page.get_by_role("link", name=f"Sign in with {by}").click()
    page.fill("input[name=username]", name)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/auth?" not in url and "/cas/login?" not in url)


def test_a_browser_signs_in_and_is_out_when_the_group_is_gone(
    joined: Portal, running_provider: Provider, open_page: Callable[..., Page]
) -> None:
    running_provider.know("ana", groups=["/edito/operators"])
    page = open_page(joined.url, also=running_provider.issuer)
    sign_in(page, "ana")
    assert page.url == f"{joined.url}/jobs/"
    assert page.locator("#account summary").inner_text() == "ana"
    running_provider.know("ana", groups=[])
    later = open_page(joined.url, also=running_provider.issuer)
    sign_in(later, "ana")
    assert "Ask a manager for a role" in later.locator(".errornote").inner_text()
    page.wait_for_url("**/login/**")  # the page that is open asks for news, and is told so
    events = [entry["event"] for entry in joined.http.get("/v4/audit?page_size=50").body["results"]]
    assert {"membership.created", "membership.deleted"} <= set(events)


def test_a_browser_signs_in_by_cas_and_is_out_when_signed_out_there(
    joined: Portal, running_cas: CASServer, open_page: Callable[..., Page]
) -> None:
    running_cas.know("bea", groups="operators")
    page = open_page(joined.url, also=running_cas.url)
    sign_in(page, "bea", by="Earth Sciences")
    assert page.url == f"{joined.url}/jobs/"
    assert page.locator("#account summary").inner_text() == "bea"
    running_cas.sign_out("bea")
    page.wait_for_url("**/login/**")  # the page that is open asks for news, and is told so


def test_curl_with_an_access_token_of_a_program_is_let_in(joined: Portal, running_provider: Provider) -> None:
    token = running_provider.robot_token()
    # The portal gives up on a provider soon: a busy machine may be slower.
    status, body = wait_for(lambda: curl(joined, token), is_enough=lambda answer: answer[0] != 503)
    assert (status, "experiments" in body) == (200, True)
    status, body = curl(joined, running_provider.sign({"iss": running_provider.issuer}))
    assert (status, body["status"]) == (401, 401)


def curl(portal: Portal, token: str) -> tuple[int, dict[str, object]]:
    """Ask for the experiments as a script would; return the status and the body."""
    command = ["curl", "--silent", "--write-out", "\n%{http_code}", "--header", f"Authorization: Bearer {token}"]
    done = subprocess.run(
        [*command, f"{portal.url}/v4/experiments"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(body)
