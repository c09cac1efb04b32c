"""Tabs that ask for their parts again."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.console.parts import refreshes
from autosubmit_portal.waits import Places

pytestmark = pytest.mark.django_db


@pytest.fixture
def tab(client: Client, viewer: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """An open tab; there is one place."""
    monkeypatch.setattr(refreshes, "refreshes", Places(1, 1))
    client.force_login(viewer)
    yield client
    assert refreshes.refreshes.take("tabs")


def test_a_tab_gets_its_part_and_gives_the_place_back(tab: Client) -> None:
    assert tab.get("/", headers={"HX-Request": "true"}).status_code == 200


def test_a_tab_that_finds_no_place_keeps_what_it_shows(tab: Client) -> None:
    refreshes.refreshes.take("tabs")
    answer = tab.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (204, b"")
    refreshes.refreshes.give_back("tabs")


def test_a_page_needs_no_place(tab: Client) -> None:
    refreshes.refreshes.take("tabs")
    assert tab.get("/").status_code == 200
    refreshes.refreshes.give_back("tabs")
