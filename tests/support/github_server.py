"""A server like GitHub on this machine: the code flow of its OAuth apps, with PKCE, and the part of its REST API that
tells who somebody is. People sign in with their login only.
"""

import secrets
import time
from base64 import urlsafe_b64encode
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as Answer

from autosubmit_portal.access.sign_in.claims import read_rules
from autosubmit_portal.access.sign_in.providers import GitHub
from tests.support.serving import serve
from tests.support.waiting import PATIENCE

CLIENT_ID, CLIENT_SECRET = "portal-at-github", "the secret of the portal at GitHub"
CODE_SECONDS = 600
# What organisations and teams grant in tests: PORTAL_GITHUB_TEAMS.
RULES = """{
    "digital-twin": {"role": "viewer"},
    "digital-twin/operators": {"role": "operator"}
}"""
PAGE = """<!doctype html><title>Sign in</title><form method="post">
<label>Name <input name="username"></label> <button>Sign in</button> <button name="cancel" value="yes">Cancel</button>
</form>"""
Rows = list[dict[str, Any]]


@dataclass
class Member:
    """Somebody with an account: `teams` are pairs of organisation and slug."""

    number: int
    login: str
    emails: Rows = field(default_factory=list)
    organisations: dict[str, str] = field(default_factory=dict)
    teams: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Code:
    """What somebody has agreed to."""

    login: str
    redirect_uri: str
    challenge: str
    scope: str
    made_at: float


class GitHubServer:
    """The server. `people` are known by login; `url` is its address; `limit` is what the API answers to all."""

    def __init__(self) -> None:
        self.reset()
        self.server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.url = f"http://127.0.0.1:{self.server.port}"
        self.api = f"{self.url}/api/v3"

    def reset(self) -> None:
        """Know nobody, and answer everything."""
        self.people: dict[str, Member] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, tuple[Member, set[str]]] = {}
        self.answers: dict[str, Response] = {}
        self.next_page = ""

    @property
    def settings(self) -> GitHub:
        """What the settings of a portal say about it."""
        return GitHub(
            key="github",
            prefix="PORTAL_GITHUB",
            name="GitHub",
            address=self.url,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            organisations=frozenset({"digital-twin"}),
            rules=read_rules(RULES),
        )

    def know(self, login: str, number: int, *teams: str, **about: Any) -> Member:
        """Let somebody be known: a member of Digital-Twin unless told otherwise, and of teams there."""
        member = Member(number, login, **{"organisations": {"Digital-Twin": "active"}, **about})
        member.teams += [("Digital-Twin", team) for team in teams]
        self.people[login] = member
        return member

    def agree(self, address: str, login: str) -> str:
        """Sign in here as a browser would that was sent to `address`; return where it is sent back to."""
        answer = requests.post(address, data={"username": login}, allow_redirects=False, timeout=PATIENCE)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def fail(self, path: str, status: int, **headers: str) -> None:
        """Answer a path of the API, or all with blank, with an error."""
        self.answers[path] = Response(
            "{}", status, headers={key.replace("_", "-"): text for key, text in headers.items()}
        )

    def _app(self) -> Flask:
        app = Flask(__name__)
        app.before_request(lambda: self.answers.get(request.path.removeprefix("/api/v3"), self.answers.get("")))
        routes = {"/login/oauth/authorize": self._authorize, "/login/oauth/access_token": self._make_token}
        for path, view in routes.items():
            app.add_url_rule(path, path, view, methods=["GET", "POST"])
        for path, scope, rows in (
            ("/user/emails", "user:email", lambda member: member.emails),
            ("/user/memberships/orgs", "read:org", self._list_organisations),
            ("/user/teams", "read:org", self._list_teams),
        ):
            app.add_url_rule(f"/api/v3{path}", path, self._make_list(scope, rows))
        app.add_url_rule("/api/v3/user", "user", self._user)
        return app

    def _authorize(self) -> str | tuple[str, int] | Answer:
        asked = request.args
        is_ours = asked["client_id"] == CLIENT_ID and urlsplit(asked["redirect_uri"]).path == "/login/github/callback/"
        if not is_ours or asked["code_challenge_method"] != "S256":
            return "The redirect_uri is not associated with this application.", 400
        if request.method == "GET":
            return PAGE
        if "cancel" in request.form:
            return _send_back(error="access_denied")
        login, code = request.form["username"], secrets.token_hex(10)
        self.codes[code] = Code(login, asked["redirect_uri"], asked["code_challenge"], asked["scope"], time.time())
        return _send_back(code=code)

    def _make_token(self) -> Response:
        """Answer as GitHub does: 200, also for what is wrong."""
        form = request.form
        if (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
            return jsonify({"error": "incorrect_client_credentials"})
        code = self.codes.pop(form["code"], None)
        digest = sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_right = code and (code.redirect_uri, code.challenge) == (form["redirect_uri"], challenge)
        if not code or not is_right or time.time() - code.made_at > CODE_SECONDS:
            return jsonify({"error": "bad_verification_code"})
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = self.people[code.login], set(code.scope.split())
        return jsonify({"access_token": token, "token_type": "bearer", "scope": code.scope.replace(" ", ",")})

    def _find(self) -> tuple[Member, set[str]]:
        return self.tokens[request.headers["Authorization"].removeprefix("Bearer ")]

    def _user(self) -> Response:
        member = self._find()[0]
        return jsonify({"id": member.number, "login": member.login, "name": None, "email": "public@example.org"})

    def _make_list(self, scope: str, rows: Any) -> Any:
        def view() -> tuple[Response, int] | Response:
            member, scopes = self._find()
            if scope not in scopes:
                return jsonify({"message": f"You need at least {scope} scope"}), 403
            number, size = int(request.args.get("page", 1)), int(request.args.get("per_page", 30))
            found = rows(member)
            answer = jsonify(found[(number - 1) * size : number * size])
            further = f"{request.base_url}?{urlencode({**request.args, 'page': number + 1})}"
            if number * size < len(found) or self.next_page:
                answer.headers["Link"] = f'<{self.next_page or further}>; rel="next", <{further}>; rel="last"'
            return answer

        return view

    def _list_organisations(self, member: Member) -> Rows:
        return [{"state": state, "organization": {"login": name}} for name, state in member.organisations.items()]

    def _list_teams(self, member: Member) -> Rows:
        return [{"slug": slug, "organization": {"login": name}} for name, slug in member.teams]


def _send_back(**parameters: str) -> Answer:
    return redirect(f"{request.args['redirect_uri']}?{urlencode({**parameters, 'state': request.args['state']})}")


def github_server() -> AbstractContextManager[GitHubServer]:
    """Run a server in a thread."""
    return serve(GitHubServer())
