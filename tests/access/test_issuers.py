"""An issuer is known by its whole address: no two share accounts."""

import pytest

from autosubmit_portal.access.sign_in.providers import CAS, OpenIDConnect

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


def find_source(address: str) -> str:
    return OpenIDConnect(key="sso", prefix="PORTAL_OIDC", name="SSO", address=address, client_id="portal").source


@pytest.mark.parametrize("issuers", SHARED)
def test_no_two_issuers_share_a_name(issuers: tuple[str, str]) -> None:
    names = {find_source(issuer) for issuer in issuers}
    assert len(names) == 2
    assert max(map(len, names)) <= 50


def test_an_issuer_keeps_the_name_that_its_accounts_are_kept_under() -> None:
    assert find_source("https://sso.example.org/realms/climate") == "sso-example-org-realms-cl-23001336667fff3a21dbba5e"


def test_a_cas_server_at_the_same_address_is_another_provider() -> None:
    address = "https://cas.example.org/cas"
    assert CAS(key="cas", prefix="PORTAL_CAS", name="CAS", address=address).source != find_source(address)
