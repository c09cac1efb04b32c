"""Signing in to the console with a browser, and to the API with a token, on a running portal."""

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.conftest import enter, sign_in
from tests.console.test_second_factor import code_of
from tests.support.services import Credentials, Http, Portal
from tests.support.waiting import PATIENCE

on_sqlite = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


@on_sqlite
def test_the_first_account_signs_in_to_the_console(portal: Portal, open_page: Callable[..., Page]) -> None:
    page = open_page(portal.url)
    sign_in(page, portal.credentials)
    assert "/login/" not in page.url
    assert page.locator("#account summary").inner_text() == "admin"


@on_sqlite
def test_a_viewer_signs_in_to_the_console(portal: Portal, open_page: Callable[..., Page]) -> None:
    page = open_page(portal.url)
    sign_in(page, portal.create_user("Viewer"))
    assert "/login/" not in page.url


@on_sqlite
def test_a_wrong_password_stays_outside(portal: Portal, open_page: Callable[..., Page]) -> None:
    page = open_page(portal.url)
    enter(page, Credentials("admin", "guessed", ""))
    page.locator(".errornote").wait_for()
    assert "/login/" in page.url


@on_sqlite
def test_somebody_sets_up_a_second_factor_and_signs_in_with_it(portal: Portal, open_page: Callable[..., Page]) -> None:
    credentials = portal.create_user("Operator")
    page = open_page(portal.url)
    sign_in(page, credentials)
    page.goto("/second-factor/")
    expect(page.get_by_role("img", name="The secret as a QR code").locator("svg")).to_be_visible()
    page.get_by_text("It cannot scan?").click()
    secret = page.locator("details code").inner_text()
    page.locator("input[name=code]").fill(code_of(secret))
    page.get_by_role("button", name="Switch it on").click()
    (recovery, *_) = page.locator("#codes").inner_text().split()

    for code in (code_of(secret, 1), recovery):  # the one of now is used
        later = open_page(portal.url)
        enter(later, credentials)
        later.locator("input[name=code]").fill(code)
        later.get_by_role("button", name="Sign in").click()
        later.wait_for_url(lambda url: "/login/" not in url)
        assert later.locator("#account summary").inner_text() == credentials.username


def test_the_processes_of_the_web_server_count_guesses_together(portal: Portal) -> None:
    statuses = [guess(portal) for _ in range(6)]  # one of two processes alone would have seen three
    assert statuses == [200] * 4 + [429] * 2


def guess(portal: Portal) -> int:
    """Guess a password as a script does, with a connection of its own; return the status of the answer."""
    with requests.Session() as session:
        session.headers["Connection"] = "close"
        session.get(f"{portal.url}/login/", timeout=PATIENCE)
        form = {"username": "nobody", "password": "x", "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        return session.post(f"{portal.url}/login/", form, timeout=PATIENCE).status_code


def test_a_token_opens_the_api_and_nobody_else_does(portal: Portal) -> None:
    assert portal.http.get("/v4/experiments").status == 200
    assert Http(portal.url).get("/v4/experiments").status == 401
