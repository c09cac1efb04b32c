"""Signing in to the console with a browser, and to the API with a token, on a running portal."""

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page

from tests.conftest import sign_in
from tests.services import Http, Portal

on_sqlite = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


@on_sqlite
def test_the_first_account_signs_in_to_the_console(page: Page) -> None:
    assert "/login/" not in page.url
    assert page.locator("#user-tools summary").inner_text() == "admin"


@on_sqlite
def test_a_viewer_signs_in_to_the_console(portal: Portal, open_page: Callable[..., Page]) -> None:
    page = open_page(portal.url)
    sign_in(page, portal.create_user("Viewer"))
    assert "/login/" not in page.url


@on_sqlite
def test_a_wrong_password_stays_outside(portal: Portal, open_page: Callable[..., Page]) -> None:
    page = open_page(portal.url)
    page.goto("/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", "guessed")
    page.click("[type=submit]")
    page.locator(".errornote").wait_for()
    assert "/login/" in page.url


def test_the_processes_of_the_web_server_count_guesses_together(portal: Portal) -> None:
    statuses = [guess(portal) for _ in range(6)]  # one of two processes alone would have seen three
    assert statuses == [200] * 4 + [429] * 2


def guess(portal: Portal) -> int:
    """Guess a password as a script does, with a connection of its own; return the status of the answer."""
    with requests.Session() as session:
        session.headers["Connection"] = "close"
        session.get(f"{portal.url}/login/", timeout=30)
        form = {"username": "nobody", "password": "x", "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        return session.post(f"{portal.url}/login/", form, timeout=30).status_code


def test_a_token_opens_the_api_and_nobody_else_does(portal: Portal) -> None:
    assert portal.http.get("/v4/experiments").status == 200
    assert Http(portal.url).get("/v4/experiments").status == 401
