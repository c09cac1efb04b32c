"""The identity providers of the settings, and the one form in which each tells who somebody is.

The settings make them. A provider is known by its address, to the last character: accounts and rights
that come from it are kept under its `source`, and no two providers share people.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import ClassVar
from urllib.parse import urlsplit

from django.utils.text import slugify

from autosubmit_portal.access.sign_in.claims import Rules

LONGEST_SUBJECT = 191  # of SocialAccount.uid
LONGEST_NAME = 150  # that of the names of an account


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """What the settings say about any provider."""

    kind: ClassVar[str]
    needed: ClassVar[tuple[str, ...]] = ()
    """What must not be blank, as its variables end, in lower case."""
    has_button: ClassVar[bool] = True
    """Whether people leave for it, and come back; they use the form of the portal otherwise."""
    key: str
    """Its name in addresses of the portal: /login/<key>/."""
    name: str
    """What people call it."""
    address: str
    claims: tuple[str, ...] = ()
    """Where its groups stand."""
    rules: Rules = field(default_factory=dict)
    """What they grant."""
    prefix: str
    """That of its variables, for messages."""

    @property
    def source(self) -> str:
        """The name under which accounts and memberships of the provider are kept.

        The first half is for people to read; the digest makes it unique.
        """
        address = urlsplit(self.address)
        readable = slugify(re.sub(r"[/.:]", "-", f"{address.netloc}{address.path}"))[:25]
        return f"{readable}-{sha256(self._identify().encode()).hexdigest()[:24]}"

    def find_missing(self) -> list[str]:
        """Return the variables that are missing."""
        return [f"{self.prefix}_{name.upper()}" for name in self.needed if not getattr(self, name)]

    def _identify(self) -> str:
        return f"{self.kind} {self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIDConnect(IdentityProvider):
    """An issuer, such as a realm of Keycloak."""

    kind = "oidc"
    needed = ("client_id",)
    client_id: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    audience: tuple[str, ...] = ()

    def _identify(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class CAS(IdentityProvider):
    """A server of the CAS protocol, version 3."""

    kind = "cas"
    subject: str = ""
    """The attribute that says who somebody is for good; the name of the person if blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub(IdentityProvider):
    """GitHub, or a GitHub Enterprise of one's own. Names there have no capitals: rules and organisations neither."""

    kind = "github"
    needed = ("client_id", "client_secret", "organisations")
    client_id: str
    client_secret: str
    organisations: frozenset[str]
    """Whose members may sign in."""

    @property
    def api(self) -> str:
        """Where its REST API is."""
        web = self.address.rstrip("/")
        return "https://api.github.com" if web == "https://github.com" else f"{web}/api/v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class LDAP(IdentityProvider):
    """A directory. Its groups are known by their whole names (DN), as `fold_dn` writes them."""

    kind = "ldap"
    needed = ("person",)
    has_button = False
    person: str
    """The name (DN) of somebody's entry; `{name}` stands for what is typed."""
    groups: str = ""
    """Below which entry the groups are that list their members; blank if entries of people list their groups."""
    subject: str = "entryUUID"
    """The attribute that says who somebody is for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, as a provider tells."""

    provider: IdentityProvider
    subject: str
    """Who it is, for good: names and e-mail addresses may change."""
    told_at: datetime
    values: frozenset[str] | None
    """Groups, teams and roles at the provider; None when it says nothing about them."""
    username: str = ""
    full_name: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    """Blank unless the provider vouches for it."""
    refusal: str = ""
    """Why the provider's word is not enough to come in; blank if it is."""

    def make_fields(self) -> Mapping[str, str]:
        """Return what a new account is given: what is printable, cut to the longest that fits."""
        fields = {
            "username": self.username,
            "name": self.full_name,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "email": self.email,
        }
        return {name: text[:LONGEST_NAME] for name, text in fields.items() if text and text.isprintable()}


def fold_dn(name: str) -> str:
    """Return a name of an entry (DN) as it is compared: without capitals, and without blanks around its marks."""
    return re.sub(r"\s*(?<!\\)([,=+])\s*", r"\1", name.strip()).lower()


def is_subject(text: str) -> bool:
    """Return whether a text can say who somebody is."""
    return 0 < len(text) <= LONGEST_SUBJECT and text.isprintable()
