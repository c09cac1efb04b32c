"""Signing in to the console through GitHub, for good and with bad intentions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.audit.models import AuditEntry
from tests.console.pages import text_of
from tests.console.test_cas import who
from tests.support.github_server import GitHubServer
from tests.support.identity_provider import parameters_of

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
BEGIN, CALLBACK = "/login/github/", "/login/github/callback/"


def go(client: Client, github: GitHubServer, login: str) -> Any:
    """Press the button, sign in at GitHub, come back, and return the last answer."""
    back = urlsplit(github.agree(client.get(BEGIN)["Location"], login))
    return client.get(f"{back.path}?{back.query}")


def roles(name: str) -> list[str]:
    return [group.name for group in User.objects.get(username=name).groups.all()]


def address(email: str, *, verified: bool = True, primary: bool = True) -> dict[str, Any]:
    return {"email": email, "verified": verified, "primary": primary}


def test_a_member_signs_in_and_gets_what_organisation_and_teams_grant(client: Client, github: GitHubServer) -> None:
    github.know("Ana", 7, "operators", emails=[address("ana@example.org")])
    answer = go(client, github, "Ana")
    assert (answer.status_code, who(client)) == (302, "ana")
    assert roles("ana") == ["Operator"]
    assert User.objects.get().email == "ana@example.org"
    assert SocialAccount.objects.get().uid == "7"


def test_github_is_asked_for_what_is_needed_with_challenge_and_state(client: Client, github: GitHubServer) -> None:
    sent = parameters_of(client.get(BEGIN)["Location"])
    assert set(sent["scope"].split()) == {"read:org", "user:email"}
    assert (sent["code_challenge_method"], sent["redirect_uri"]) == ("S256", f"http://testserver{CALLBACK}")
    assert sent["state"]


def test_a_lost_team_is_lost_here_at_the_next_sign_in(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7, "operators")
    go(client, github, "ana")
    github.know("ana", 7)
    go(Client(), github, "ana")
    assert roles("ana") == ["Viewer"]


@pytest.mark.parametrize("organisations", [{}, {"Digital-Twin": "pending"}, {"elsewhere": "active"}])
def test_a_stranger_is_refused_and_gets_no_account(
    client: Client, github: GitHubServer, organisations: dict[str, str]
) -> None:
    github.know("mallory", 8, "operators", organisations=organisations)
    answer = go(client, github, "mallory")
    assert (answer.status_code, who(client)) == (403, "")
    assert "no member of digital-twin" in text_of(answer)
    assert not User.objects.exists()
    assert AuditEntry.objects.filter(event="sign_in.failed").exists()


def test_who_has_left_the_organisation_loses_what_it_granted(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7, "operators")
    go(client, github, "ana")
    github.know("ana", 7, "operators", organisations={})
    other = Client()
    assert (go(other, github, "ana").status_code, who(other)) == (403, "")
    assert roles("ana") == []
    assert client.get("/").status_code == 302  # the older session may see nothing either


def test_a_login_that_was_given_up_is_somebody_else(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7, "operators")
    go(client, github, "ana")
    github.know("renamed", 7, "operators")
    github.know("ana", 8, "operators")
    names = []
    for login in ("renamed", "ana"):
        other = Client()
        go(other, github, login)
        names.append(who(other))
    assert (names[0], names[1] != "ana") == ("ana", True)


def test_capitals_mean_nothing_in_names_of_organisations_and_teams(client: Client, github: GitHubServer) -> None:
    member = github.know("ana", 7, organisations={"DIGITAL-twin": "active"})
    member.teams = [("digital-TWIN", "Operators")]
    go(client, github, "ana")
    assert roles("ana") == ["Operator"]


def test_a_team_of_the_same_name_elsewhere_grants_nothing(client: Client, github: GitHubServer) -> None:
    member = github.know("ana", 7)
    member.teams = [("elsewhere", "operators"), ("elsewhere", "digital-twin/operators")]
    go(client, github, "ana")
    assert roles("ana") == ["Viewer"]


def test_all_pages_are_read(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7, *(f"team-{number}" for number in range(250)), "operators")
    go(client, github, "ana")
    assert roles("ana") == ["Operator"]


def test_nobody_else_gets_the_token(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7)
    github.next_page = "http://127.0.0.1:1/user/teams"
    assert (go(client, github, "ana").status_code, who(client)) == (502, "")


def test_a_list_without_an_end_is_no_answer(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7)
    github.next_page = f"{github.api}/user/memberships/orgs"
    assert (go(client, github, "ana").status_code, who(client)) == (502, "")


@pytest.mark.parametrize(
    "emails",
    [
        [],
        [address("root@example.org", verified=False)],
        [address("ana@example.org", primary=False), address("root@example.org", verified=False)],
    ],
)
def test_an_address_that_is_not_verified_is_not_taken(
    client: Client, github: GitHubServer, emails: list[dict[str, Any]]
) -> None:
    github.know("ana", 7, emails=emails)
    go(client, github, "ana")
    assert User.objects.get(username="ana").email == ""


@pytest.mark.parametrize("path", ["/user", "/user/memberships/orgs", "/user/teams", "/user/emails"])
@pytest.mark.parametrize("status", [200, 301, 403, 500])
def test_an_api_that_fails_lets_nobody_in_and_takes_nothing(
    client: Client, github: GitHubServer, path: str, status: int
) -> None:
    github.know("ana", 7, "operators")
    go(client, github, "ana")
    github.fail(path, status)
    other = Client()
    assert (go(other, github, "ana").status_code, who(other)) == (502, "")
    assert roles("ana") == ["Operator"]


def test_a_used_up_limit_is_said_with_its_end(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7)
    github.fail("/user/teams", 403, X_RateLimit_Remaining="0", X_RateLimit_Reset="1800000000")
    answer = go(client, github, "ana")
    assert (answer.status_code, who(client)) == (503, "")
    assert "no more questions before 08:00 UTC" in text_of(answer)


def test_a_code_works_once_and_in_one_browser(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7)
    back = urlsplit(github.agree(client.get(BEGIN)["Location"], "ana"))
    callback = f"{back.path}?{back.query}"
    victim = Client()
    assert (victim.get(callback).status_code, who(victim)) == (401, "")
    assert client.get(callback).status_code == 302
    code, state = parameters_of(callback)["code"], parameters_of(victim.get(BEGIN)["Location"])["state"]
    assert (victim.get(CALLBACK, {"code": code, "state": state}).status_code, who(victim)) == (502, "")


def test_a_code_of_somebody_else_does_not_fit_the_challenge(client: Client, github: GitHubServer) -> None:
    github.know("mallory", 8)
    stolen = parameters_of(github.agree(Client().get(BEGIN)["Location"], "mallory"))["code"]
    state = parameters_of(client.get(BEGIN)["Location"])["state"]
    assert (client.get(CALLBACK, {"code": stolen, "state": state}).status_code, who(client)) == (502, "")


def test_a_state_of_another_provider_is_refused(client: Client, github: GitHubServer, cas: Any, settings: Any) -> None:
    settings.PROVIDERS = (github.settings, cas.settings)
    github.know("ana", 7)
    code = parameters_of(github.agree(client.get(BEGIN)["Location"], "ana"))["code"]
    state = parameters_of(parameters_of(client.get("/login/cas/")["Location"])["service"])["state"]
    assert (client.get(CALLBACK, {"code": code, "state": state}).status_code, who(client)) == (401, "")


def test_who_cancels_is_back_at_the_sign_in_page(client: Client, github: GitHubServer) -> None:
    state = parameters_of(client.get(BEGIN)["Location"])["state"]
    answer = client.get(CALLBACK, {"error": "access_denied", "state": state})
    assert (answer.status_code, "was cancelled" in text_of(answer)) == (401, True)


def test_the_same_address_at_two_providers_is_two_accounts(
    client: Client, github: GitHubServer, cas: Any, settings: Any, actor: Callable[..., User]
) -> None:
    settings.PROVIDERS = (github.settings, cas.settings)
    local = actor(username="local", email="ana@example.org", is_superuser=True)
    github.know("ana", 7, emails=[address("ana@example.org")])
    cas.know("ana", mail="ana@example.org", groups="operators")
    go(client, github, "ana")
    back = urlsplit(cas.agree(client.get("/login/cas/")["Location"], "ana"))
    client.get(f"{back.path}?{back.query}")
    assert User.objects.filter(email="ana@example.org").count() == 3
    assert not SocialAccount.objects.filter(user=local).exists()


def test_the_token_is_kept_nowhere(client: Client, github: GitHubServer) -> None:
    github.know("ana", 7)
    go(client, github, "ana")
    (token,) = github.tokens
    assert token not in f"{dict(client.session)}{SocialAccount.objects.values()}{AuditEntry.objects.values()}"


def test_the_api_of_github_itself_has_an_address_of_its_own(github: GitHubServer) -> None:
    assert replace(github.settings, address="https://github.com/").api == "https://api.github.com"
    assert replace(github.settings, address="https://git.example.org").api == "https://git.example.org/api/v3"
