"""An issuer is known by its whole address: no two share accounts, and those of the configured one are kept."""

import importlib
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.apps import apps

from autosubmit_portal.access.models import Membership
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.single_sign_on import provider_id
from tests.support import factories

pytestmark = pytest.mark.django_db
LONG = "https://identity.climate-adaptation.example.org/auth/realms/"
SHARED = [
    (f"{LONG}production", f"{LONG}test"),
    ("https://id.example.org/a.b", "https://id.example.org/a-b"),
    ("https://id.example.org:8443", "https://id.example.org/8443"),
    ("https://id.example.org/a", "http://id.example.org/a"),
    ("https://id.example.org/a", "https://id.example.org/a/"),
    ("https://id.example.org/A", "https://id.example.org/a"),
    ("https://id.example.org/?realm=a", "https://id.example.org/?realm=b"),
]
migration: Any = importlib.import_module("autosubmit_portal.access.migrations.0008_whole_issuer")


@pytest.mark.parametrize("issuers", SHARED)
def test_no_two_issuers_share_a_name(settings: Any, issuers: tuple[str, str]) -> None:
    names = set()
    for settings.OIDC_ISSUER in issuers:
        names.add(provider_id())
    assert len(names) == 2
    assert max(map(len, names)) <= 50


def linked(issuer: str) -> SocialAccount:
    """An account as it was linked before, with a membership that the provider gave."""
    user, name = factories.create_user(), migration.name_before(issuer)
    Membership.objects.create(team=factories.create_team(), user=user, role=Role.VIEWER, source=name)
    return SocialAccount.objects.create(user=user, provider=name, uid="1")


def test_the_accounts_of_the_configured_issuer_stay_its_own(settings: Any) -> None:
    settings.OIDC_ISSUER = "https://id.example.org/a.b"
    account = linked(settings.OIDC_ISSUER)
    migration.rename(apps, None)
    account.refresh_from_db()
    assert {account.provider, account.user.memberships.get().source} == {provider_id()}


@pytest.mark.parametrize("configured", ["", "https://id.example.net/a.b"])
def test_the_accounts_of_another_issuer_are_nobodys(settings: Any, configured: str) -> None:
    account = linked("https://id.example.org/a.b")
    settings.OIDC_ISSUER = configured
    migration.rename(apps, None)
    assert SocialAccount.objects.get().provider == account.provider


def test_an_issuer_that_had_the_same_name_before_finds_no_account_of_the_other(settings: Any) -> None:
    settings.OIDC_ISSUER = "https://id.example.org/a.b"
    linked(settings.OIDC_ISSUER)
    migration.rename(apps, None)
    settings.OIDC_ISSUER = "https://id.example.org/a-b"
    migration.rename(apps, None)
    assert not SocialAccount.objects.filter(provider=provider_id()).exists()
