"""Which tokens of the identity provider are believed."""

import base64
import json
from typing import Any

import jwt
import pytest
from joserfc.jwk import ECKey, KeySet

from autosubmit_portal.access.sign_in import bearer
from autosubmit_portal.access.sign_in.bearer import InvalidToken, ProviderUnavailable, read_access_token
from tests.support.identity_provider import Provider


@pytest.fixture(autouse=True)
def _ana(provider: Provider) -> None:
    provider.know("ana")


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def refused(token: str) -> str:
    with pytest.raises(InvalidToken) as error:
        read_access_token(token)
    assert token not in str(error.value)
    return str(error.value)


def test_an_access_token_of_the_provider_is_believed(provider: Provider) -> None:
    assert read_access_token(provider.access_token("ana")).person.subject == "subject-of-ana"


def test_an_access_token_that_says_so_in_its_header_is_believed(provider: Provider) -> None:
    token = provider.robot_token()
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert read_access_token(token).person.subject == "nightly"


def test_a_token_signed_on_an_elliptic_curve_is_believed(provider: Provider, monkeypatch: Any) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "curve"})
    monkeypatch.setattr(provider, "keys", KeySet([key]))
    assert read_access_token(provider.sign(provider.claims_of("ana"), alg="ES256")).person.subject == "subject-of-ana"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"aud": "another"}, "another audience"),
        ({"aud": None}, "lacks one of"),
        ({"iss": "https://evil.example.org"}, "another issuer"),
        ({"iss": None}, "lacks one of"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "lacks one of"),
        ({"exp": "soon"}, "cannot be read"),
        ({"iat": 2**40}, "not valid yet"),
        ({"nbf": 2**40}, "not valid yet"),
        ({"sub": None}, "lacks one of"),
        ({"sub": ""}, "names no subject"),
        ({"sub": "a\0b"}, "names no subject"),
        ({"sub": "x" * 192}, "names no subject"),
        ({"sub": 7}, "cannot be read"),
        ({"typ": "ID"}, "no access token"),
        ({"typ": "Refresh"}, "no access token"),
        ({"typ": None}, "no access token"),
        ({"typ": ["Bearer"]}, "no access token"),
    ],
)
def test_a_token_with_other_claims_is_refused(provider: Provider, changes: dict[str, Any], complaint: str) -> None:
    assert complaint in refused(provider.access_token("ana", **changes))


def test_a_token_without_a_signature_is_refused(provider: Provider) -> None:
    _, payload, _ = provider.access_token("ana").split(".")
    for name in ("none", "None", "NONE"):
        refused(f"{encoded({'alg': name, 'kid': provider.keys.keys[0].kid})}.{payload}.")


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(provider: Provider) -> None:
    key = provider.keys.keys[0]
    claims = provider.claims_of("ana")
    for secret in (provider.public_pem, json.dumps(key.as_dict(private=False)).encode()):
        head, body = encoded({"alg": "HS256", "typ": "JWT", "kid": key.kid}), encoded(claims)
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            f"{head}.{body}".encode(), secret
        )
        refused(f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


def test_a_token_that_brings_its_own_key_is_refused(provider: Provider) -> None:
    from joserfc.jwk import RSAKey

    mine = RSAKey.generate_key(2048, {"kid": str(provider.keys.keys[0].kid)})
    claims = provider.claims_of("ana")
    token = jwt.encode(
        claims,
        mine.as_pem(private=True),
        algorithm="RS256",
        headers={"kid": mine.kid, "jwk": mine.as_dict(private=False), "jku": "https://evil.example.org/keys"},
    )
    assert "signature" in refused(token)


def test_a_token_that_was_changed_is_refused(provider: Provider) -> None:
    head, _, signature = provider.access_token("ana").split(".")
    changed = encoded(provider.claims_of("ana", sub="somebody-else"))
    assert "signature" in refused(f"{head}.{changed}.{signature}")


@pytest.mark.parametrize(
    "token", ["..", "a.b.c", "eyJ.eyJ.x", f"{encoded('text')}.e30.", f"{encoded({'alg': 7})}.e30.", "é.é.é"]
)
def test_what_only_looks_like_a_token_is_refused(token: str) -> None:
    refused(token)


def test_a_token_that_is_nested_too_deep_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 100_000).rstrip(b"=").decode()
    refused(f"{deep}.e30.x")


def test_the_keys_are_fetched_once_for_many_tokens(provider: Provider) -> None:
    for _ in range(5):
        read_access_token(provider.access_token("ana"))
    assert provider.asked.count("/certs") == 1


def test_a_new_key_is_fetched_when_a_token_names_it(provider: Provider) -> None:
    read_access_token(provider.access_token("ana"))
    provider.rotate()
    assert read_access_token(provider.access_token("ana")).person.subject == "subject-of-ana"


def test_names_of_keys_that_are_made_up_do_not_make_the_portal_ask_each_time(provider: Provider) -> None:
    read_access_token(provider.access_token("ana"))
    for number in range(5):
        assert "key" in refused(provider.sign({"sub": "x"}, kid=f"made-up-{number}"))
    assert provider.asked.count("/certs") == 2


def test_known_keys_serve_while_the_provider_is_away(provider: Provider, monkeypatch: Any) -> None:
    monkeypatch.setattr(bearer, "KEYS_LIVE_SECONDS", 1e-9)
    read_access_token(provider.access_token("ana"))
    provider.is_away = True
    assert read_access_token(provider.access_token("ana")).person.subject == "subject-of-ana"
    assert provider.asked.count("/certs") > 1


def test_a_provider_that_never_answered_is_not_asked_by_every_token(provider: Provider) -> None:
    provider.is_away = True
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            read_access_token(provider.access_token("ana"))
    assert len(provider.asked) == 1


def test_a_provider_that_calls_itself_otherwise_is_not_believed(provider: Provider) -> None:
    provider.configuration = {"issuer": "https://evil.example.org"}
    with pytest.raises(ProviderUnavailable):
        read_access_token(provider.access_token("ana"))
