"""Signing in to the console through an identity provider, for good and with bad intentions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from tests.console.pages import text_of
from tests.support.identity_provider import CLIENT_ID, Provider, parameters_of

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
BEGIN, LOGIN = "/login/sso/", "/login/"


def go(client: Client, provider: Provider, name: str, begin: str = BEGIN) -> Any:
    """Press the button, sign in at the provider under the name, come back, and return the last answer."""
    sent = client.get(begin)
    assert sent.status_code == 302, text_of(sent)
    back = urlsplit(provider.agree(sent["Location"], name))
    return client.get(f"{back.path}?{back.query}")


def who(client: Client) -> str:
    """Return the name of the account that is signed in, blank if none is."""
    user = User.objects.filter(pk=client.session.get("_auth_user_id", "0")).first()
    return user.username if user else ""


def test_somebody_signs_in_and_gets_an_account_without_a_password(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"], given_name="Ana", family_name="Vega", email="ana@example.org")
    answer = go(client, provider, "ana")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    user = User.objects.get(username="ana")
    assert (user.get_full_name(), user.email, user.has_usable_password()) == ("Ana Vega", "ana@example.org", False)
    assert AuditEntry.objects.filter(event="sign_in.succeeded", actor_name="ana").exists()


def test_the_same_subject_comes_back_to_the_same_account_under_another_name(client: Client, provider: Provider) -> None:
    provider.know("ana", sub="7", groups=["/viewers"])
    go(client, provider, "ana")
    provider.know("renamed", sub="7", groups=["/viewers"])
    again = Client()
    go(again, provider, "renamed")
    assert who(again) == "ana"
    assert User.objects.count() == 1


def test_the_browser_is_sent_with_a_challenge_and_a_state(client: Client, provider: Provider) -> None:
    sent = parameters_of(client.get(BEGIN)["Location"])
    assert (sent["client_id"], sent["code_challenge_method"], sent["response_type"]) == (CLIENT_ID, "S256", "code")
    assert len(sent["code_challenge"]) == 43
    assert sent["state"]
    assert set(sent["scope"].split()) == {"openid", "profile", "email"}
    assert sent["redirect_uri"] == "http://testserver/login/sso/callback/"


def test_the_sign_in_page_offers_both_ways(client: Client, provider: Provider) -> None:
    page = text_of(client.get("/login/?next=/jobs/"))
    assert "Sign in with Climate DT" in page
    assert "/login/sso/?next=%2Fjobs%2F" in page
    assert 'name="password"' in page


def test_without_a_provider_only_the_password_is_offered(client: Client, settings: Any) -> None:
    settings.PROVIDERS = ()
    assert "sso" not in text_of(client.get(LOGIN))
    assert [client.get(path)["Location"] for path in (BEGIN, BEGIN + "callback/")] == [LOGIN] * 2


def test_where_everybody_comes_through_the_provider_no_password_is_taken(
    client: Client, provider: Provider, actor: Callable[..., User], settings: Any
) -> None:
    settings.PASSWORD_LOGIN = False
    user = actor(Role.VIEWER, password="correct horse")
    assert 'name="password"' not in text_of(client.get(LOGIN))
    assert client.post(LOGIN, {"username": user.username, "password": "correct horse"}).status_code == 403
    assert who(client) == ""


def test_somebody_gets_to_the_page_they_wanted(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    assert go(client, provider, "ana", f"{BEGIN}?next=/jobs/%3Fq=a000")["Location"] == "/jobs/?q=a000"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example.org/", "//evil.example.org", "/\\evil.example.org", "javascript:alert(1)", "http:evil"],
)
def test_nobody_is_sent_to_another_host(client: Client, provider: Provider, elsewhere: str) -> None:
    provider.know("ana", groups=["/viewers"])
    assert go(client, provider, "ana", f"{BEGIN}?next={elsewhere}")["Location"] == "/"


def test_a_local_account_of_the_same_name_or_address_stays_whose_it_is(
    client: Client, provider: Provider, actor: Callable[..., User]
) -> None:
    admin = actor(username="Admin", email="admin@example.org", is_superuser=True)
    provider.know("admin", groups=["/viewers"], email="admin@example.org", email_verified=True)
    go(client, provider, "admin")
    assert who(client) not in ("", "Admin", "admin")
    assert not User.objects.get(username=who(client)).is_superuser
    assert not SocialAccount.objects.filter(user=admin).exists()


def test_a_signed_in_account_is_not_connected_with_a_subject(
    provider: Provider, signed_in: Callable[[User], Client], viewer: User
) -> None:
    provider.know("mallory", groups=["/viewers"])
    client = signed_in(viewer)
    go(client, provider, "mallory", f"{BEGIN}?process=connect&action=reauthenticate")
    assert who(client) == "mallory"
    assert not SocialAccount.objects.filter(user=viewer).exists()


def test_a_callback_does_not_work_in_another_browser_or_twice(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    back = urlsplit(provider.agree(client.get(BEGIN)["Location"], "ana"))
    callback = f"{back.path}?{back.query}"
    victim = Client()
    answer = victim.get(callback)
    assert (answer.status_code, who(victim)) == (401, "")
    assert "begun in another browser" in text_of(answer)
    assert client.get(callback).status_code == 302
    client.logout()
    assert (client.get(callback).status_code, who(client)) == (401, "")


def test_a_code_of_somebody_else_does_not_fit_the_challenge(client: Client, provider: Provider) -> None:
    provider.know("mallory", groups=["/viewers"])
    stolen = parameters_of(provider.agree(Client().get(BEGIN)["Location"], "mallory"))["code"]
    state = parameters_of(client.get(BEGIN)["Location"])["state"]
    answer = client.get(f"{BEGIN}callback/?code={stolen}&state={state}")
    assert (answer.status_code, who(client)) == (502, "")


def test_user_information_about_somebody_else_is_refused(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    provider.userinfo = {"sub": "somebody-else", "groups": ["/managers"]}
    assert (go(client, provider, "ana").status_code, who(client)) == (502, "")


def test_a_provider_that_is_away_is_said_so_and_the_password_still_works(
    client: Client, provider: Provider, actor: Callable[..., User]
) -> None:
    provider.is_away = True
    answer = client.get(BEGIN)
    assert answer.status_code == 502
    assert "Climate DT does not answer as it should" in text_of(answer)
    user = actor(Role.VIEWER, password="correct horse")
    assert client.post(LOGIN, {"username": user.username, "password": "correct horse"}).status_code == 302
    assert AuditEntry.objects.get(event="sign_in.failed").subject == "single sign-on"


def test_a_provider_that_goes_away_half_way_is_said_so(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    back = urlsplit(provider.agree(client.get(BEGIN)["Location"], "ana"))
    provider.is_away = True
    assert client.get(f"{back.path}?{back.query}").status_code == 502


def test_a_configuration_of_another_issuer_is_refused(client: Client, provider: Provider) -> None:
    provider.configuration = {"issuer": "https://evil.example.org"}
    assert client.get(BEGIN).status_code == 502


def test_who_cancels_is_back_at_the_sign_in_page(client: Client, provider: Provider) -> None:
    state = parameters_of(client.get(BEGIN)["Location"])["state"]
    answer = client.get(f"{BEGIN}callback/?error=access_denied&state={state}")
    assert (answer.status_code, "was cancelled" in text_of(answer)) == (401, True)
    assert 'action="/login/?next=/"' in text_of(answer).replace("%2F", "/")


def test_who_is_granted_nothing_gets_an_account_and_is_told_what_to_do(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/unknown"])
    answer = go(client, provider, "ana")
    assert (answer.status_code, "Ask a manager for a role" in text_of(answer)) == (403, True)
    assert who(client) == ""
    assert User.objects.filter(username="ana").exists()


def test_a_closed_account_stays_outside(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/viewers"])
    go(client, provider, "ana")
    User.objects.update(is_active=False)
    other = Client()
    answer = go(other, provider, "ana")
    assert (answer.status_code, who(other)) == (403, "")
    assert "is closed" in text_of(answer)


def test_a_provider_in_the_database_changes_nothing(client: Client, provider: Provider) -> None:
    SocialApp.objects.create(provider="openid_connect", provider_id="x", name="Evil", client_id="evil")
    assert parameters_of(client.get(BEGIN)["Location"])["client_id"] == CLIENT_ID


def test_odd_claims_make_an_account_all_the_same(client: Client, provider: Provider) -> None:
    odd = {"name": {"a": 1}, "given_name": "x" * 500, "email": ["a"], "preferred_username": "Ána\0 <b>@x"}
    provider.know("odd", groups=["/viewers", 7], **odd)
    go(client, provider, "odd")
    assert len(User.objects.get(username=who(client)).first_name) == 150


def test_a_session_through_the_provider_ends_after_its_hours_whatever_it_does(
    client: Client, provider: Provider
) -> None:
    provider.know("ana", groups=["/viewers"])
    go(client, provider, "ana")
    before = client.session.get_expiry_date()
    assert timedelta(hours=11, minutes=59) < before - timezone.now() <= timedelta(hours=12)
    session = client.session
    session["changed"] = True
    session.save()
    assert client.session.get_expiry_date() == before


def test_the_group_of_a_role_comes_and_goes_with_the_claims(client: Client, provider: Provider) -> None:
    provider.know("ana", groups=["/managers", "/viewers"])
    go(client, provider, "ana")
    user = User.objects.get(username="ana")
    assert {group.name for group in user.groups.all()} == {"Manager"}
    provider.know("ana", groups=["/viewers"])
    go(Client(), provider, "ana")
    assert {group.name for group in user.groups.all()} == {"Viewer"}
    changed = AuditEntry.objects.filter(event="user.permissions_changed").values_list("details", flat=True)
    assert {"remove": ["Manager"], "of": "groups"} in list(changed)


def test_a_group_that_a_manager_gave_stays(client: Client, provider: Provider) -> None:
    from django.contrib.auth.models import Group

    provider.know("ana", groups=["/viewers"])
    go(client, provider, "ana")
    user = User.objects.get(username="ana")
    user.groups.add(Group.objects.get(name="Operator"))
    provider.know("ana", groups=[])
    answer = go(Client(), provider, "ana")
    assert answer.status_code == 302
    assert {group.name for group in user.groups.all()} == {"Operator"}
