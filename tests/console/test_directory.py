"""Signing in with name and password of a real directory (LDAP), for good and with bad intentions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from ldap3.core.exceptions import LDAPException

from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.directory import read_person
from autosubmit_portal.audit.models import AuditEntry
from tests.console.pages import text_of
from tests.console.test_cas import who
from tests.support.ldap_server import GROUPS, PEOPLE, LdapServer

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
LOGIN, PASSWORD = "/login/", "of ana in the directory"


def enter(client: Client, name: str, password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"username": name, "password": password, "next": "/"})


@pytest.fixture
def ana(directory: LdapServer) -> str:
    """The entry of somebody in a group that may look."""
    dn = directory.know("ana", PASSWORD, givenName="Ana", mail="ana@example.org")
    directory.make_group("earth", dn)
    return dn


def roles() -> list[str]:
    return [group.name for group in User.objects.get(username="ana").groups.all()]


def test_somebody_signs_in_and_gets_what_the_groups_grant(client: Client, ana: str) -> None:
    assert enter(client, "ana").status_code == 302
    assert (who(client), roles()) == ("ana", ["Viewer"])
    user = User.objects.get()
    assert (user.first_name, user.email, user.has_usable_password()) == ("Ana", "ana@example.org", False)
    assert client.session.get_expiry_date() <= timezone.now() + timedelta(hours=12)
    assert AuditEntry.objects.filter(event="sign_in.succeeded", actor_name="ana").exists()


def test_a_group_of_unix_lists_names(client: Client, ana: str, directory: LdapServer) -> None:
    directory.make_unix_group("operators", "ana")
    enter(client, "ana")
    assert roles() == ["Operator"]


def test_a_lost_group_is_lost_here_at_the_next_sign_in(client: Client, ana: str, directory: LdapServer) -> None:
    enter(client, "ana")
    directory.remove(f"cn=earth,{GROUPS}")
    other = Client()
    assert "Ask a manager" in text_of(enter(other, "ana"))
    assert (who(other), roles()) == ("", [])


@pytest.mark.parametrize("name", ["ana", "nobody", f"uid=ana,{PEOPLE}"])
def test_a_wrong_password_is_refused_and_counted(client: Client, ana: str, name: str) -> None:
    assert enter(client, name, "wrong").status_code == 200
    assert who(client) == ""
    assert AuditEntry.objects.filter(event="sign_in.failed").count() == 1


@pytest.mark.parametrize("password", ["", " ", "\0"])
def test_a_name_without_a_password_is_nobody(client: Client, ana: str, password: str) -> None:
    enter(client, "ana", password)
    assert who(client) == ""


def test_no_blank_password_is_sent(ana: str, directory: LdapServer) -> None:
    directory.stop()
    try:
        assert read_person(directory.settings, "ana", "") is None  # it would raise if it asked
    finally:
        directory.start()


@pytest.mark.parametrize(
    "name", ["*", "*)(uid=*", "ana)(uid=*", "ana,ou=people", "ana+cn=ana", "\\61na", "#616e61", "an\0a", "x" * 200]
)
def test_a_name_is_only_a_name(client: Client, ana: str, name: str) -> None:
    enter(client, name)
    assert who(client) == ""
    assert not User.objects.exists()


def test_capitals_and_blanks_make_no_second_account(client: Client, ana: str) -> None:
    for typed in ("ana", "ANA", " ana "):
        other = Client()
        enter(other, typed)
        assert who(other) == "ana"
    assert User.objects.count() == 1


def test_who_was_renamed_keeps_the_account_and_the_old_name_is_free(
    client: Client, ana: str, directory: LdapServer
) -> None:
    enter(client, "ana")
    directory.rename("ana", "renamed")
    directory.remove(f"cn=earth,{GROUPS}")
    directory.make_group("operators", f"uid=renamed,{PEOPLE}")
    directory.make_group("earth", directory.know("ana", "of another"))
    enter(client, "renamed")
    assert (who(client), roles()) == ("ana", ["Operator"])
    other = Client()
    enter(other, "ana", "of another")
    assert who(other) not in ("", "ana")


def test_a_local_account_of_the_same_name_stays_whose_it_is(
    client: Client, ana: str, actor: Callable[..., User]
) -> None:
    local = actor(username="ana", is_superuser=True, password="of ana here", email="ana@example.org")
    enter(client, "ana")
    assert who(client) not in ("", "ana")
    other = Client()
    enter(other, "ana", "of ana here")
    assert who(other) == "ana"
    assert not SocialAccount.objects.filter(user=local).exists()


def test_a_closed_account_stays_outside(client: Client, ana: str) -> None:
    enter(client, "ana")
    User.objects.update(is_active=False)
    other = Client()
    enter(other, "ana")
    assert who(other) == ""


def test_who_is_gone_from_the_directory_stays_outside(client: Client, ana: str, directory: LdapServer) -> None:
    enter(client, "ana")
    directory.remove(ana)
    other = Client()
    enter(other, "ana")
    assert who(other) == ""


def test_no_password_of_its_own_outlives_the_directory(client: Client, ana: str) -> None:
    enter(client, "ana")
    new = "another password 7"
    client.post("/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert not User.objects.get().has_usable_password()


def test_guessing_is_locked_out_before_the_directory_is_asked(client: Client, ana: str) -> None:
    for _ in range(5):
        enter(client, "ana", "wrong")
    assert enter(client, "ana").status_code == 429
    assert who(client) == ""


def test_a_directory_that_is_away_is_said_so_and_local_accounts_work(
    client: Client, ana: str, directory: LdapServer, actor: Callable[..., User]
) -> None:
    actor(Role.VIEWER, username="local", password="correct horse")
    enter(Client(), "ana")
    directory.stop()
    try:
        assert "The directory does not answer as it should" in text_of(enter(client, "ana"))
        assert enter(client, "local", "correct horse").status_code == 302
    finally:
        directory.start()
    assert (who(client), roles()) == ("local", ["Viewer"])


def test_passwords_of_local_accounts_cannot_be_guessed_while_it_is_away(
    client: Client, settings: Any, directory: LdapServer, actor: Callable[..., User]
) -> None:
    settings.PROVIDERS = (replace(directory.settings, address="ldaps://127.0.0.1:1"),)
    actor(Role.VIEWER, username="local", password="correct horse")
    for _ in range(5):
        enter(client, "local", "wrong")
    assert enter(client, "local", "correct horse").status_code == 429


def test_without_tls_at_the_door_it_begins_before_the_password(
    client: Client, ana: str, directory: LdapServer, settings: Any
) -> None:
    settings.PROVIDERS = (replace(directory.settings, address=directory.plain_url),)
    enter(client, "ana")
    assert who(client) == "ana"


@pytest.mark.parametrize("door", ["url", "plain_url"])
@pytest.mark.usefixtures("ana")
def test_a_certificate_that_nobody_vouches_for_is_not_believed(
    directory: LdapServer, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(LDAPException):
        read_person(replace(directory.settings, address=getattr(directory, door)), "ana", PASSWORD)


def test_a_certificate_of_another_host_is_not_believed(ana: str, directory: LdapServer) -> None:
    with pytest.raises(LDAPException, match="mismatch"):
        read_person(replace(directory.settings, address=directory.other_url), "ana", PASSWORD)


@pytest.mark.parametrize("changes", [{"groups": "ou=nowhere,dc=example,dc=org"}, {"subject": "employeeNumber"}])
def test_what_cannot_be_read_takes_nothing(
    client: Client, ana: str, directory: LdapServer, settings: Any, changes: dict[str, Any]
) -> None:
    enter(client, "ana")
    settings.PROVIDERS = (replace(directory.settings, **changes),)
    other = Client()
    assert "does not answer as it should" in text_of(enter(other, "ana"))
    assert (who(other), roles()) == ("", ["Viewer"])


def test_the_second_factor_is_asked_for_as_of_local_accounts(client: Client, ana: str, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = "everyone"
    enter(client, "ana")
    assert client.get("/")["Location"] == reverse("second_factor")
