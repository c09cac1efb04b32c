"""API tokens in the console."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.access.roles import Role
from tests.console.pages import list_of, text_of
from tests.support import factories

ADD = "/tokens/add/"
LIST = "access_apitoken"


def make(client: Client, **values: Any) -> str:
    return text_of(client.post(ADD, {"name": "script", "days": 30} | values, follow=True))


def test_a_new_token_is_shown_once(as_viewer: Client) -> None:
    shown = make(as_viewer)
    token = ApiToken.objects.get()
    assert f">{token.token_key}" in shown
    assert token.digest[:20] not in shown
    assert f"<code>{token.token_key}…</code>" in text_of(as_viewer.get(list_of(LIST)))


def test_a_new_token_is_led_to_and_shown_neither_later_nor_to_anybody_else(
    as_viewer: Client, as_operator: Client
) -> None:
    answer = as_viewer.post(f"{ADD}?_changelist_filters=o%3D1", {"name": "script", "days": 30})
    key = ApiToken.objects.get().token_key
    assert (answer.status_code, answer["Location"]) == (302, f"{ADD}?_changelist_filters=o%3D1")
    as_operator.cookies["new_token"] = as_viewer.cookies["new_token"].value
    pages = [text_of(client.get(answer["Location"])) for client in (as_operator, as_viewer, as_viewer)]
    assert [f">{key}" in page for page in pages] == [False, True, False]


@pytest.mark.parametrize(
    ("values", "kinds"), [({}, None), ({"read_only": "on"}, []), ({"kinds": ["stop", "run"]}, ["run", "stop"])]
)
def test_a_token_is_for_what_was_chosen(as_operator: Client, values: dict[str, Any], kinds: Any) -> None:
    make(as_operator, **values)
    assert ApiToken.objects.get().kinds == kinds


@pytest.mark.parametrize(
    "values", [{"days": 0}, {"days": 366}, {"read_only": "on", "kinds": ["run"]}, {"kinds": ["create"]}]
)
def test_a_token_that_cannot_be_is_not_made(as_operator: Client, values: dict[str, Any]) -> None:
    assert "errorlist" in make(as_operator, **values)
    assert not ApiToken.objects.exists()


def test_the_list_says_what_a_token_is_for_and_when_it_was_used(as_viewer: Client, viewer: User) -> None:
    used = {"last_used_at": timezone.now(), "last_used_address": "192.0.2.7"}
    factories.create_token(viewer, kinds=[], **used)
    shown = text_of(as_viewer.get(list_of(LIST)))
    assert "Only to read" in shown
    assert "192.0.2.7" in shown


def test_a_token_is_limited_to_a_team_that_was_chosen(as_operator: Client, operator: User) -> None:
    factories.create_team((operator, Role.OPERATOR), slug="ours")
    make(as_operator, teams=["ours"], read_only="on")
    assert [team.slug for team in ApiToken.objects.get().teams.all()] == ["ours"]
    assert "Only to read, of ours" in text_of(as_operator.get(list_of(LIST)))


def test_a_manager_revokes_the_token_of_somebody_else(as_manager: Client, as_operator: Client, viewer: User) -> None:
    factories.create_token(viewer)
    page = reverse("admin:access_apitoken_delete", args=[ApiToken.objects.get().pk])
    assert as_operator.post(page, {"post": "yes"}).status_code == 403
    assert ApiToken.objects.exists()
    assert as_manager.post(page, {"post": "yes"}).status_code == 302
    assert not ApiToken.objects.exists()
