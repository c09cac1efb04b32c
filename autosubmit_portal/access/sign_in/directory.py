"""Name and password of a directory (LDAP): the portal binds as the person who signs in, and reads what the person may.

It has no account of its own there, keeps no password, and sends none without TLS.
"""

import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from ldap3 import BASE, NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from autosubmit_portal.access.sign_in import provision
from autosubmit_portal.access.sign_in.backends import AccountBackend
from autosubmit_portal.access.sign_in.providers import LDAP, Person, fold_dn, is_subject

logger = logging.getLogger(__name__)

SECONDS = 5
NAME = re.compile(r"[^\W_][\w.@-]{0,149}")
SHOWN = ("uid", "cn", "displayName", "givenName", "sn", "mail", "memberOf")


class Unreadable(Exception):
    """The directory does not show what the portal needs."""


class DirectoryBackend(BaseBackend):
    """Accounts of the directory. It is asked after the local accounts, and never for a name that is locked out."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        """Return the account of somebody whose password the directory takes, with what the groups grant; or None.

        While it is away the attempt counts like any other, or passwords of local accounts could be guessed meanwhile.
        """
        provider = find_directory()
        if provider is None or request is None or not username or not password:
            return None
        try:
            person = read_person(provider, username, password)
        except (LDAPException, Unreadable, OSError, ValueError) as error:
            logger.warning("The directory %s does not answer as it should: %s", provider.address, error)
            request.directory_is_away = provider.name  # type: ignore[attr-defined] # for the form
            return None
        return _admit(request, person) if person else None

    def get_user(self, user_id: int) -> User | None:
        """Return the account of a session."""
        user: User | None = AccountBackend().get_user(user_id)
        return user


def find_directory() -> LDAP | None:
    """Return the directory of the settings."""
    return next((provider for provider in settings.PROVIDERS if isinstance(provider, LDAP)), None)


def read_person(provider: LDAP, name: str, password: str) -> Person | None:
    """Return who signs in, None for a wrong name or password; raise what the directory lacks.

    A blank password is never sent: directories take it for nobody, and say that it is right.
    """
    if not NAME.fullmatch(name) or not password:
        return None
    dn = provider.person.replace("{name}", escape_rdn(name))
    with _open(provider, dn, password) as connection:
        try:
            connection.bind(read_server_info=False)
        except LDAPInvalidCredentialsResult:
            return None
        return _describe(provider, connection, dn)


@contextmanager
def _open(provider: LDAP, dn: str, password: str) -> Iterator[Connection]:
    """Open a connection with TLS, over which nothing was sent yet, and close it in the end."""
    server = Server(provider.address, connect_timeout=SECONDS, get_info=NONE, tls=_CheckedTls())
    connection = Connection(
        server, dn, password, auto_referrals=False, receive_timeout=SECONDS, read_only=True, raise_exceptions=True
    )
    try:
        connection.open(read_server_info=False)
        if not server.ssl and not connection.start_tls(read_server_info=False):
            raise Unreadable("it begins no TLS")
        yield connection
    finally:
        connection.unbind()
        if connection.socket:  # ldap3 leaves one open that it could not connect
            connection.socket.close()


class _CheckedTls(Tls):
    """TLS as Python checks it. ldap3 compares names by itself, with what Python calls deprecated or has removed."""

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:
        """Begin TLS with a server whose certificate is valid and its own."""
        host = connection.server.host
        connection.socket = ssl.create_default_context().wrap_socket(connection.socket, server_hostname=host)


def _describe(provider: LDAP, connection: Connection, dn: str) -> Person:
    """Return whose entry it is, with its groups."""
    (entry,) = _search(connection, dn, "(objectClass=*)", BASE, [*SHOWN, provider.subject])
    about = {name.lower(): [_to_text(value) for value in values] for name, values in entry["raw_attributes"].items()}
    subject = next(iter(about.get(provider.subject.lower(), [])), "")
    if not is_subject(subject):
        raise Unreadable(f"{provider.subject} of {dn} cannot be read")

    def get_first(*names: str) -> str:
        return next((about[name][0] for name in names if about.get(name)), "")

    name = get_first("uid") or get_first("cn")
    groups = {fold_dn(group) for group in about.get("memberof", [])}
    groups |= {fold_dn(group) for group in _list_groups(provider, connection, entry["dn"], name)}
    return Person(
        provider=provider,
        subject=subject,
        told_at=timezone.now(),
        values=frozenset(groups),
        username=name,
        full_name=get_first("displayname", "cn"),
        first_name=get_first("givenname"),
        last_name=get_first("sn"),
        email=get_first("mail"),
    )


def _list_groups(provider: LDAP, connection: Connection, dn: str, name: str) -> Iterator[str]:
    """Yield the names (DN) of the groups that list the person, by name or by entry."""
    if provider.groups:
        member, uid = escape_filter_chars(dn), escape_filter_chars(name)
        wanted = f"(|(member={member})(uniqueMember={member})(memberUid={uid}))"
        for group in _search(connection, provider.groups, wanted, SUBTREE, []):
            yield group["dn"]


def _search(connection: Connection, base: str, wanted: str, scope: Any, attributes: list[str]) -> list[dict[str, Any]]:
    """Return what is found, all of it: an answer that was cut is an error, and so are hints to other servers."""
    connection.search(base, wanted, scope, attributes=attributes or None, time_limit=SECONDS)
    found: list[dict[str, Any]] = connection.response or []
    if any(row["type"] != "searchResEntry" for row in found):
        raise Unreadable(f"what is below {base} is at another server")
    return found


def _to_text(value: bytes) -> str:
    """Return a value as text; what is none, such as an objectGUID, in hexadecimal digits."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


def _admit(request: HttpRequest, person: Person) -> User | None:
    account = provision.get_account(request, person)
    if not account.user.is_active:
        return None
    provision.provide_at_sign_in(account, person)
    user: User = User.objects.get(pk=account.user.pk)
    return user


@receiver(user_logged_in)
def _limit_session(request: HttpRequest, user: User, **_: Any) -> None:
    """Let the session of an account of the directory end in time, so that groups are asked for again."""
    provider = find_directory()
    if provider and SocialAccount.objects.filter(user=user, provider=provider.source).exists():
        request.session.set_expiry(settings.PROVIDER_SESSION)
