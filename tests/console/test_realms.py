"""Several issuers side by side, such as realms of Keycloak: each has its own people, claims and rules."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from autosubmit_portal.access.sign_in.claims import read_rules
from tests.console.test_cas import who
from tests.support import identity_provider
from tests.support.identity_provider import Provider

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def realms(provider: Provider, settings: Any) -> Iterator[tuple[Provider, Provider]]:
    """Two issuers; roles of the second are those of its realm and of its client."""
    with identity_provider.provider() as other:
        claims = ("realm_access.roles", "resource_access.portal.roles")
        rules = read_rules('{"watch": {"role": "viewer"}, "run": {"role": "operator"}}')
        second = replace(other.settings, key="sso-edito", name="EDITO", claims=claims, rules=rules)
        settings.PROVIDERS = (provider.settings, second)
        yield provider, other


def test_the_same_subject_of_two_realms_is_two_people(realms: tuple[Provider, Provider]) -> None:
    realms[0].know("ana", groups=["/viewers"])
    realms[1].know("ana", realm_access={"roles": ["watch"]}, resource_access={"portal": {"roles": ["run"]}})
    for realm, token in ((realm, realm.access_token("ana")) for realm in realms):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert client.get("/v4/experiments").status_code == 200, realm.issuer
    roles = {user.groups.get().name for user in User.objects.all()}
    assert (User.objects.count(), roles) == (2, {"Viewer", "Operator"})


def test_a_realm_signs_nothing_for_another(realms: tuple[Provider, Provider]) -> None:
    realms[1].know("mallory", groups=["/managers"])
    client = APIClient()
    token = realms[1].access_token("mallory", iss=realms[0].issuer)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get("/v4/experiments").status_code == 401
    assert not User.objects.exists()


def test_a_code_of_one_realm_opens_no_session_of_another(client: Client, realms: tuple[Provider, Provider]) -> None:
    realms[0].know("ana", groups=["/viewers"])
    back = urlsplit(realms[0].agree(client.get("/login/sso/")["Location"], "ana"))
    assert client.get(f"/login/sso-edito/callback/?{back.query}").status_code == 401
    assert who(client) == ""
