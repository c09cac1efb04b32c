"""Check tokens (JWT) of OpenID Connect: signature, audience, type and times.

The provider's keys are fetched for the first token, and again for an unknown key. While the provider is away, known
keys are used.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import Any

import jwt
import requests
from django.conf import settings
from jwt import PyJWKClient
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWKClientConnectionError,
    PyJWKClientError,
    PyJWTError,
)

from autosubmit_portal.access.sign_in.claims import get_values
from autosubmit_portal.access.sign_in.providers import OpenIDConnect, Person, is_subject
from autosubmit_portal.sentences import say

logger = logging.getLogger(__name__)

# Signatures by a key pair only: with HS256 whoever knows the public key could sign.
ALGORITHMS = ["RS256", "ES256"]
NEEDED = ["exp", "iat", "iss", "aud", "sub"]
CLOCK_SKEW_SECONDS = 30
FETCH_SECONDS = 3  # a request of the API waits meanwhile
# Between two attempts to reach a provider that is away.
PAUSE_SECONDS = 10
KEYS_LIVE_SECONDS = 300
WELL_KNOWN = "/.well-known/openid-configuration"

# RFC 9068 says what a token is in its header, Keycloak in its claims.
ACCESS_TOKEN_TYPES = {"at+jwt", "application/at+jwt"}
ACCESS_TOKEN_CLAIM = "Bearer"  # noqa: S105 # no secret


class InvalidToken(Exception):
    """The token is refused; the text says why and contains no part of it."""


class ProviderUnavailable(Exception):
    """The provider does not answer, and no keys of it are known."""


_REASONS: dict[type[Exception], str] = {
    ExpiredSignatureError: say("The token has expired."),
    ImmatureSignatureError: say("The token is not valid yet."),
    InvalidAudienceError: say("The token is for another audience."),
    InvalidIssuerError: say("The token is from another issuer."),
    InvalidSignatureError: say("The signature of the token is wrong."),
    MissingRequiredClaimError: say("The token lacks one of the claims {names}.", names=", ".join(NEEDED)),
    PyJWKClientError: say("The token is signed with a key that the provider does not have."),
}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token says: whom it is about, and the program that it was made for, if it names one."""

    person: Person
    client: str


class Keys(PyJWKClient):
    """The signing keys of a provider, remembered while it is away."""

    def __init__(self, issuer: str) -> None:
        super().__init__(_find_key_address(issuer), lifespan=KEYS_LIVE_SECONDS, timeout=FETCH_SECONDS)
        self._known: jwt.PyJWKSet | None = None

    def fetch_data(self) -> Any:
        """Return what the provider answers; raise PyJWKClientConnectionError when it does not."""
        try:
            return _fetch(self.uri)
        except (requests.RequestException, ValueError) as error:
            raise PyJWKClientConnectionError(str(error)) from error

    def get_jwk_set(self, refresh: bool = False) -> jwt.PyJWKSet:
        """Return the keys; those that are known when the provider does not answer."""
        try:
            self._known = super().get_jwk_set(refresh)
        except (PyJWKClientError, PyJWTError) as error:
            if self._known is None or self.jwk_set_cache is None:
                raise
            logger.warning("The keys of the identity provider cannot be refreshed: %s", error)
            self.jwk_set_cache.put(self._known)
        return self._known


_opening = Lock()
_failed_at: dict[str, float] = {}


def read_access_token(token: str) -> AccessToken:
    """Return what an access token of one of our issuers says; raise InvalidToken or ProviderUnavailable."""
    provider = _choose_issuer(token)
    header, claims = _verify(token, provider, provider.audience or (provider.client_id,))
    is_access_token = (
        str(header.get("typ", "")).lower() in ACCESS_TOKEN_TYPES or claims.get("typ") == ACCESS_TOKEN_CLAIM
    )
    if not is_access_token:
        raise InvalidToken(say("This is no access token: neither `at+jwt` in its header nor `Bearer` in its claims."))
    return AccessToken(read_person(provider, claims), str(claims.get("azp") or claims.get("client_id") or ""))


def read_id_token(provider: OpenIDConnect, token: str) -> dict[str, Any]:
    """Return the claims of an ID token that was made for us; raise InvalidToken or ProviderUnavailable."""
    return _verify(token, provider, (provider.client_id,))[1]


def read_person(provider: OpenIDConnect, claims: Mapping[str, Any]) -> Person:
    """Return whom the claims of a token are about."""
    texts = {name: value for name, value in claims.items() if isinstance(value, str)}
    is_denied = claims.get("email_verified") is False
    return Person(
        provider=provider,
        subject=claims["sub"],
        told_at=datetime.fromtimestamp(int(claims["iat"]), UTC),
        values=get_values(claims, provider.claims),
        username=texts.get("preferred_username", ""),
        full_name=texts.get("name", ""),
        first_name=texts.get("given_name", ""),
        last_name=texts.get("family_name", ""),
        email="" if is_denied else texts.get("email", ""),
    )


def list_issuers() -> list[OpenIDConnect]:
    """Return the issuers of the settings."""
    return [provider for provider in settings.PROVIDERS if isinstance(provider, OpenIDConnect)]


def _choose_issuer(token: str) -> OpenIDConnect:
    """Return the issuer that a token names, before anything is believed; the first one for others, which refuses it."""
    issuers = list_issuers()
    try:
        named = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (PyJWTError, ValueError, RecursionError):
        named = None
    return next((issuer for issuer in issuers if issuer.address == named), issuers[0])


def _verify(token: str, provider: OpenIDConnect, audience: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token whose signature, issuer, audience and times are right."""
    try:
        key = _get_keys(provider.address).get_signing_key_from_jwt(token)
        if key.algorithm_name not in ALGORITHMS:
            raise InvalidToken(say("The token is signed with an algorithm that is not accepted."))
        decoded = jwt.decode_complete(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=audience,
            issuer=provider.address,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": NEEDED},
        )
    except PyJWKClientConnectionError as error:
        raise ProviderUnavailable from error
    except (PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken(_find_reason(error)) from error
    header, claims = decoded["header"], decoded["payload"]
    if not is_subject(claims["sub"]):
        raise InvalidToken(say("The token names no subject."))
    return header, claims


def _find_reason(error: Exception) -> str:
    return next((text for kind, text in _REASONS.items() if isinstance(error, kind)), say("The token cannot be read."))


def _get_keys(issuer: str) -> Keys:
    """Return the keys of the issuer; while it is away, it is asked at most every PAUSE_SECONDS."""
    with _opening:
        if time.monotonic() - _failed_at.get(issuer, float("-inf")) < PAUSE_SECONDS:
            raise ProviderUnavailable
        try:
            return _load_keys(issuer)
        except (requests.RequestException, ValueError, LookupError, TypeError, PyJWTError) as error:
            _failed_at[issuer] = time.monotonic()
            logger.warning("The identity provider %s does not answer: %s", issuer, error)
            raise ProviderUnavailable from error


@lru_cache(maxsize=4)
def _load_keys(issuer: str) -> Keys:
    keys = Keys(issuer)
    keys.get_jwk_set()
    return keys


def _find_key_address(issuer: str) -> str:
    """Return the address of the issuer's keys (OpenID Connect Discovery 1.0)."""
    configuration = _fetch(issuer.rstrip("/") + WELL_KNOWN)
    if configuration["issuer"] != issuer:
        raise ValueError(f"it calls itself {configuration['issuer']}")
    return str(configuration["jwks_uri"])


def _fetch(address: str) -> Any:
    answer = requests.get(address, timeout=FETCH_SECONDS, allow_redirects=False)
    answer.raise_for_status()
    return answer.json()
