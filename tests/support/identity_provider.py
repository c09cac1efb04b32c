"""A real OpenID Connect provider on this machine, by Authlib: it behaves as a realm of Keycloak does.

Code flow with PKCE (required), client credentials, discovery, user information, signed ID and access tokens (RFC 9068),
and keys that can be rotated. People sign in with their name only.
"""

import secrets
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.integrations.flask_oauth2.authorization_server import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from authlib.oidc.core import AuthorizationCodeMixin, OpenIDCode
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

from autosubmit_portal.access.sign_in.claims import read_rules
from autosubmit_portal.access.sign_in.providers import OpenIDConnect
from tests.support.serving import serve
from tests.support.waiting import PATIENCE

REALM = "/realms/climate"
CLIENT_ID, CLIENT_SECRET = "portal", "the secret of the portal"
# What the claims of the people here grant in tests: PORTAL_OIDC_TEAMS.
RULES = """{
    "/edito/viewers": {"team": "edito", "role": "viewer"},
    "/edito/operators": {"team": "edito", "role": "operator"},
    "/lumi": {"site": "lumi", "role": "viewer"},
    "/viewers": {"role": "viewer"},
    "/managers": {"role": "manager"},
    "/robots": {"role": "operator"}
}"""
ROBOT_ID, ROBOT_SECRET = "nightly", "the secret of the robot"
PAGE = """<!doctype html><title>Sign in</title><form method="post">
<label>Name <input name="username"></label> <button>Sign in</button> <button name="cancel" value="yes">Cancel</button>
</form>"""


@dataclass(frozen=True)
class Person:
    """Somebody whom the provider knows, with the claims about them."""

    claims: dict[str, Any]

    def get_user_id(self) -> str:
        return str(self.claims["sub"])


@dataclass(frozen=True)
class Client(ClientMixin):
    """A program that the provider knows."""

    client_id: str
    secret: str
    grant_types: tuple[str, ...]
    claims: dict[str, Any] = field(default_factory=dict)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return urlsplit(redirect_uri).path.endswith("/login/sso/callback/")  # below the path of any portal

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):
    """What somebody has agreed to."""

    client_id: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    person: Person

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> str:
        return ""

    def get_amr(self) -> list[str]:
        return []


class Provider:
    """The provider. `people` are known by name; `url` is where it listens; `audience` is that of access tokens."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.codes: dict[str, Code] = {}
        self.bearers: dict[str, Person] = {}
        self.reset()
        self.rotate()
        self.server = make_server(address, 0, self._app(), threaded=True)
        self.issuer = f"http://{address}:{self.server.port}{REALM}"
        self.tokens.issuer = self.issuer

    def reset(self) -> None:
        """Know nobody, answer everything, and count anew what is asked."""
        self.people: dict[str, Person] = {}
        self.audience: list[str] = [CLIENT_ID]
        self.userinfo: dict[str, Any] = {}
        self.configuration: dict[str, Any] = {}
        self.is_away = False
        self.asked: list[str] = []

    def know(self, name: str, /, **claims: Any) -> Person:
        """Let somebody be known under a name, with the claims; `sub` is made from the name unless it is given."""
        self.people[name] = Person({"sub": f"subject-of-{name}", "preferred_username": name} | claims)
        return self.people[name]

    @property
    def settings(self) -> OpenIDConnect:
        """What the settings of a portal say about it."""
        return OpenIDConnect(
            key="sso",
            prefix="PORTAL_OIDC",
            name="Climate DT",
            address=self.issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            audience=(CLIENT_ID,),
            claims=("groups",),
            rules=read_rules(RULES),
        )

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": secrets.token_hex(4)})
        self.keys = KeySet([key])
        self.public_pem: bytes = key.as_pem(private=False)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Return a token with any claims and header, signed with the key of the provider."""
        key = self.keys.keys[0]
        return jwt.encode({"alg": "RS256", "kid": key.kid} | header, claims, key)

    def access_token(self, name: str, /, **changes: Any) -> str:
        """Return an access token about somebody; a change to None leaves a claim out."""
        return self.sign(self.claims_of(name, **changes))

    def claims_of(self, name: str, /, **changes: Any) -> dict[str, Any]:
        """Return the claims of that token."""
        now = int(time.time())
        claims = self.people[name].claims | {
            "iss": self.issuer,
            "aud": self.audience,
            "azp": "a-script",
            "iat": now,
            "exp": now + 300,
            "typ": "Bearer",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def robot_token(self) -> str:
        """Return an access token that the robot gets by client credentials."""
        answer = requests.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", "scope": "jobs"},
            auth=(ROBOT_ID, ROBOT_SECRET),
            timeout=PATIENCE,
        )
        return str(answer.json()["access_token"])

    def agree(self, address: str, name: str) -> str:
        """Sign in at the provider as a browser would that was sent to `address`; return where it is sent back to."""
        answer = requests.post(address, data={"username": name}, allow_redirects=False, timeout=PATIENCE)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def _app(self) -> Flask:
        app = Flask(__name__)
        server = AuthorizationServer(app, self._client, self._save)
        self.tokens = _Tokens(self)
        server.register_token_generator("default", self.tokens)
        server.register_grant(_codes(self), [_IdTokens(self), CodeChallenge(required=True)])
        server.register_grant(_Robots)
        app.before_request(self._notice)
        routes = {
            "/.well-known/openid-configuration": self._configuration,
            "/certs": lambda: jsonify(self.keys.as_dict(private=False)),
            "/userinfo": self._userinfo,
        }
        for path, view in routes.items():
            app.add_url_rule(REALM + path, path, view)
        app.add_url_rule(REALM + "/token", "token", server.create_token_response, methods=["POST"])
        app.add_url_rule(REALM + "/auth", "auth", lambda: self._authorize(server), methods=["GET", "POST"])
        return app

    def _notice(self) -> tuple[str, int] | None:
        self.asked.append(request.path.removeprefix(REALM))
        return ("The provider is away.", 503) if self.is_away else None

    def _client(self, client_id: str) -> Client | None:
        robot = {"preferred_username": f"service-account-{ROBOT_ID}", "groups": ["/robots"]}
        clients = (
            Client(CLIENT_ID, CLIENT_SECRET, ("authorization_code",)),
            Client(ROBOT_ID, ROBOT_SECRET, ("client_credentials",), robot),
        )
        return next((client for client in clients if client.client_id == client_id), None)

    def _save(self, token: dict[str, Any], asked: Any) -> None:
        if asked.user:
            self.bearers[token["access_token"]] = asked.user

    def _configuration(self) -> Response:
        addresses = {"authorization": "auth", "token": "token", "userinfo": "userinfo"}
        return jsonify(
            {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/certs"}
            | {f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in addresses.items()}
            | {"token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]}
            | self.configuration
        )

    def _userinfo(self) -> Response:
        person = self.bearers[request.headers["Authorization"].removeprefix("Bearer ")]
        return jsonify(person.claims | self.userinfo)

    def _authorize(self, server: Any) -> Any:
        if request.args.get("code_challenge_method") != "S256":
            return "PKCE with S256 is required here.", 400
        if request.method == "GET":
            return PAGE
        person = None if "cancel" in request.form else self.people[request.form["username"]]
        grant = server.get_consent_grant(end_user=person)
        return server.create_authorization_response(grant=grant, grant_user=person)


class _Tokens(JWTBearerTokenGenerator):
    def __init__(self, provider: Provider) -> None:
        super().__init__(issuer="")  # type: ignore[no-untyped-call]
        self.provider = provider

    def get_jwks(self) -> KeySet:
        return self.provider.keys

    def get_audiences(self, client: Any, user: Any, scope: Any) -> list[str]:
        return self.provider.audience

    def get_extra_claims(self, client: Client, grant_type: str, user: Person | None, scope: str) -> Any:
        return user.claims if user else client.claims


class _IdTokens(OpenIDCode):
    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=False)  # type: ignore[no-untyped-call]
        self.provider = provider

    def resolve_client_private_key(self, client: Any) -> KeySet:
        return self.provider.keys

    def get_encode_header(self, client: Any) -> dict[str, Any]:
        return {"alg": "RS256", "kid": self.provider.keys.keys[0].kid}

    def get_client_claims(self, client: Any) -> dict[str, Any]:
        return {"iss": self.provider.issuer, "typ": "ID"}

    def exists_nonce(self, nonce: str, asked: Any) -> bool:
        return False

    def generate_user_info(self, user: Person, scope: str) -> dict[str, Any]:
        return user.claims


class _Robots(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]


def _codes(provider: Provider) -> type:
    class Codes(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

        def save_authorization_code(self, code: str, asked: Any) -> None:
            given = asked.payload.data
            provider.codes[code] = Code(
                asked.client.client_id,
                asked.payload.redirect_uri,
                asked.scope,
                given.get("nonce"),
                given["code_challenge"],
                given["code_challenge_method"],
                asked.user,
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            found = provider.codes.get(code)
            return found if found and found.client_id == client.client_id else None

        def delete_authorization_code(self, authorization_code: Code) -> None:
            provider.codes = {code: kept for code, kept in provider.codes.items() if kept != authorization_code}

        def authenticate_user(self, authorization_code: Code) -> Person:
            return authorization_code.person

    return Codes


def parameters_of(address: str) -> dict[str, str]:
    """Return the parameters of an address, each once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def provider(address: str = "127.0.0.1") -> AbstractContextManager[Provider]:
    """Run a provider in a thread."""
    return serve(Provider(address))
