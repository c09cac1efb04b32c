"""Signing in to the console through a CAS server, for good and with bad intentions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.access.models import ServiceTicket
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from tests.console.pages import text_of
from tests.support.cas_server import ANSWER, FAILURE, CASServer, make_sign_out, make_success
from tests.support.identity_provider import parameters_of

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
BEGIN, CALLBACK = "/login/cas/", "/login/cas/callback/"


def go(client: Client, cas: CASServer, name: str, begin: str = BEGIN) -> Any:
    """Press the button, sign in at the server under the name, come back, and return the last answer."""
    return client.get(find_way_back(client, cas, name, begin))


def find_way_back(client: Client, cas: CASServer, name: str, begin: str = BEGIN) -> str:
    """Press the button and sign in at the server; return the address that the browser is sent back to."""
    back = urlsplit(cas.agree(client.get(begin)["Location"], name))
    return f"{back.path}?{back.query}"


def who(client: Client) -> str:
    """Return the name of the account that is signed in, blank if none is."""
    user = User.objects.filter(pk=client.session.get("_auth_user_id", "0")).first()
    return user.username if user else ""


def know_viewer(cas: CASServer, name: str = "ana", **attributes: Any) -> None:
    cas.know(name, memberOf=["cn=others", "cn=earth,ou=groups,dc=example,dc=org"], **attributes)


def test_somebody_signs_in_and_gets_what_the_groups_grant(client: Client, cas: CASServer) -> None:
    know_viewer(cas, displayName="Ana Vega", mail="ana@example.org")
    answer = go(client, cas, "ana", f"{BEGIN}?next=/jobs/%3Fq=a000")
    assert (answer.status_code, answer["Location"]) == (302, "/jobs/?q=a000")
    user = User.objects.get(username="ana")
    assert (user.get_full_name(), user.email, user.has_usable_password()) == ("Ana Vega", "ana@example.org", False)
    assert [group.name for group in user.groups.all()] == ["Viewer"]
    assert AuditEntry.objects.filter(event="sign_in.succeeded", actor_name="ana").exists()


def test_a_lost_group_is_lost_here_at_the_next_sign_in(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    go(client, cas, "ana")
    cas.know("ana", memberOf=[])
    other = Client()
    answer = go(other, cas, "ana")
    assert (answer.status_code, who(other)) == (403, "")
    assert "Ask a manager for a role" in text_of(answer)
    assert not User.objects.get(username="ana").groups.exists()
    assert client.get("/").status_code == 302  # the older session may see nothing either


def test_the_sign_in_page_has_its_button(client: Client, cas: CASServer) -> None:
    page = text_of(client.get("/login/?next=/jobs/"))
    assert "Sign in with Earth Sciences" in page
    assert "/login/cas/?next=%2Fjobs%2F" in page


def test_a_ticket_is_good_once(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    back = find_way_back(client, cas, "ana")
    assert client.get(back).status_code == 302
    client.logout()
    assert (client.get(back).status_code, who(client)) == (401, "")
    ticket, state = (
        parameters_of(back)["ticket"],
        parameters_of(parameters_of(client.get(BEGIN)["Location"])["service"]),
    )
    answer = client.get(CALLBACK, {"ticket": ticket, **state})
    assert (answer.status_code, who(client)) == (401, "")
    assert "does not accept the ticket" in text_of(answer)


def test_a_ticket_does_not_work_in_another_browser(client: Client, cas: CASServer) -> None:
    know_viewer(cas, "mallory")
    back = find_way_back(Client(), cas, "mallory")
    answer = client.get(back)
    assert (answer.status_code, who(client)) == (401, "")
    assert "begun in another browser" in text_of(answer)


@pytest.mark.parametrize("service", ["http://evil.example.org/", "http://testserver/login/cas/callback/?state=another"])
def test_a_ticket_for_another_service_or_sign_in_is_refused(client: Client, cas: CASServer, service: str) -> None:
    know_viewer(cas)
    state = parameters_of(parameters_of(client.get(BEGIN)["Location"])["service"])["state"]
    answer = client.get(CALLBACK, {"state": state, "ticket": cas.give_ticket("ana", service)})
    assert (answer.status_code, who(client)) == (401, "")


@pytest.mark.parametrize("kind", ["PT", "PGT", "st"])
def test_a_ticket_that_a_program_got_for_somebody_is_refused(client: Client, cas: CASServer, kind: str) -> None:
    know_viewer(cas)
    service = parameters_of(client.get(BEGIN)["Location"])["service"]
    answer = client.get(CALLBACK, {**parameters_of(service), "ticket": cas.give_ticket("ana", service, kind)})
    assert (answer.status_code, who(client)) == (401, "")


def test_an_old_ticket_is_refused(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    back = find_way_back(client, cas, "ana")
    ticket = parameters_of(back)["ticket"]
    cas.tickets[ticket] = replace(cas.tickets[ticket], made_at=0)
    assert (client.get(back).status_code, who(client)) == (401, "")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
FILE = '<!DOCTYPE a [<!ENTITY c SYSTEM "file:///etc/passwd">]>'
NOBODY = "<cas:authenticationSuccess><cas:attributes/></cas:authenticationSuccess>"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no XML",
        "<a/>",
        BOMB + ANSWER.format(make_success("ana", {}).replace("ana", "&c;")),
        FILE + ANSWER.format(make_success("ana", {}).replace("ana", "&c;")),
        ANSWER.format(NOBODY),
        ANSWER.format(make_success("", {})),
        ANSWER.format(make_success("x" * 192, {})),
        ANSWER.format(make_success("ana", {}) + FAILURE.format("INVALID_TICKET")),
        ANSWER.format(make_success("ana", {}).replace("<cas:attr", "<cas:user>root</cas:user><cas:attr")),
        ANSWER.format(FAILURE.format("INTERNAL_ERROR")),
        ANSWER.replace("yale", "evil").format(make_success("ana", {})),
        ANSWER.format(make_success("ana", {"memberOf": ["x" * 2**20]})),
    ],
)
def test_an_answer_that_is_none_lets_nobody_in(client: Client, cas: CASServer, answer: str) -> None:
    cas.answer = answer
    got = go(client, cas, "ana")
    assert (got.status_code, who(client)) == (502, "")
    assert "Earth Sciences does not answer as it should" in text_of(got)
    assert not User.objects.exists()


def test_a_comment_inside_a_name_does_not_cut_it(client: Client, cas: CASServer) -> None:
    groups = {"groups": ["operators"]}
    cas.answer = ANSWER.format(make_success("root", groups).replace("root", "root<!-- -->.evil.example.org"))
    go(client, cas, "root")
    assert SocialAccount.objects.get().uid == "root.evil.example.org"


def test_a_server_that_is_away_is_said_so_and_nobody_loses_anything(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    go(client, cas, "ana")
    other = Client()
    back = find_way_back(other, cas, "ana")
    cas.is_away = True
    assert (other.get(back).status_code, who(other)) == (502, "")
    assert User.objects.get().groups.exists()
    assert client.get("/").status_code == 200


def test_who_comes_back_without_a_ticket_is_told(client: Client, cas: CASServer) -> None:
    service = parameters_of(client.get(BEGIN)["Location"])["service"]
    answer = client.get(CALLBACK, parameters_of(service))
    assert (answer.status_code, "was cancelled" in text_of(answer)) == (401, True)


def test_a_local_account_of_the_same_name_or_address_stays_whose_it_is(
    client: Client, cas: CASServer, actor: Callable[..., User]
) -> None:
    admin = actor(username="admin", email="admin@example.org", is_superuser=True)
    know_viewer(cas, "admin", mail="admin@example.org")
    go(client, cas, "admin")
    assert who(client) not in ("", "admin")
    assert not SocialAccount.objects.filter(user=admin).exists()


def test_a_name_in_another_writing_is_no_second_person(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    go(client, cas, "ana")
    know_viewer(cas, "ANA")
    other = Client()
    answer = go(other, cas, "ANA")
    assert (answer.status_code, "“ana”" in text_of(answer)) == (403, True)
    assert User.objects.count() == 1


def test_an_attribute_that_stays_keeps_the_account_of_who_was_renamed(
    client: Client, cas: CASServer, settings: Any
) -> None:
    settings.PROVIDERS = (replace(cas.settings, subject="employeeNumber"),)
    know_viewer(cas, "ana", employeeNumber="7")
    go(client, cas, "ana")
    know_viewer(cas, "renamed", employeeNumber="7")
    know_viewer(cas, "ana", employeeNumber="8")
    names = []
    for name in ("renamed", "ana"):
        other = Client()
        go(other, cas, name)
        names.append(who(other))
    assert (names[0], names[1] != "ana") == ("ana", True)


def test_without_that_attribute_nobody_gets_in(client: Client, cas: CASServer, settings: Any) -> None:
    settings.PROVIDERS = (replace(cas.settings, subject="employeeNumber"),)
    know_viewer(cas)
    assert (go(client, cas, "ana").status_code, who(client)) == (502, "")


def test_a_closed_account_stays_outside(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    go(client, cas, "ana")
    User.objects.update(is_active=False)
    other = Client()
    answer = go(other, cas, "ana")
    assert (answer.status_code, who(other), "is closed" in text_of(answer)) == (403, "", True)


def test_who_signs_out_at_the_server_is_out_here(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    back, other = find_way_back(client, cas, "ana"), Client(enforce_csrf_checks=True)
    client.get(back)
    go(other, cas, "ana")
    told = Client(enforce_csrf_checks=True).post(
        CALLBACK, {"logoutRequest": make_sign_out(parameters_of(back)["ticket"])}
    )
    assert (told.status_code, who(client), who(other)) == (204, "", "ana")
    assert AuditEntry.objects.get(event="sign_in.ended").subject == "user ana"


@pytest.mark.parametrize("text", ["", "<a/>", BOMB + make_sign_out("x"), make_sign_out("ST-guessed"), "x" * 20_000])
def test_who_knows_no_ticket_signs_nobody_out(client: Client, cas: CASServer, text: str) -> None:
    know_viewer(cas)
    go(client, cas, "ana")
    assert Client().post(CALLBACK, {"logoutRequest": text}).status_code == 204
    assert who(client) == "ana"
    assert ServiceTicket.objects.count() == 1


def test_no_ticket_is_kept_as_text(client: Client, cas: CASServer) -> None:
    know_viewer(cas)
    back = find_way_back(client, cas, "ana")
    client.get(back)
    ticket = parameters_of(back)["ticket"]
    assert ticket not in f"{ServiceTicket.objects.values()}{dict(client.session)}{AuditEntry.objects.values()}"


def test_a_signed_in_account_is_not_connected_with_somebody_else(
    cas: CASServer, signed_in: Callable[[User], Client], actor: Callable[..., User]
) -> None:
    know_viewer(cas, "mallory")
    viewer = actor(Role.VIEWER)
    client = signed_in(viewer)
    go(client, cas, "mallory", f"{BEGIN}?process=connect")
    assert who(client) == "mallory"
    assert not SocialAccount.objects.filter(user=viewer).exists()
