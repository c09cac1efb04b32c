"""An issuer is known by its whole address: no two share accounts."""

from typing import Any

import pytest

from autosubmit_portal.access.sign_in.single_sign_on import get_provider_id

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


@pytest.mark.parametrize("issuers", SHARED)
def test_no_two_issuers_share_a_name(settings: Any, issuers: tuple[str, str]) -> None:
    names = set()
    for settings.OIDC_ISSUER in issuers:
        names.add(get_provider_id())
    assert len(names) == 2
    assert max(map(len, names)) <= 50
