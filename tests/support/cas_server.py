"""A real server of the CAS protocol (version 3) on this machine: tickets for registered services, good once.

`/login`, `/p3/serviceValidate` with attributes, and single sign-out by POST. People sign in with their name only.
"""

import secrets
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from xml.sax.saxutils import escape

import requests
from flask import Flask, Response, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as Answer

from autosubmit_portal.access.sign_in.claims import read_rules
from autosubmit_portal.access.sign_in.providers import CAS
from tests.support.serving import serve
from tests.support.waiting import PATIENCE

TICKET_SECONDS = 300
# What the groups of people here grant in tests: PORTAL_CAS_TEAMS.
RULES = """{
    "cn=earth,ou=groups,dc=example,dc=org": {"role": "viewer"},
    "operators": {"role": "operator"}
}"""
PAGE = """<!doctype html><title>Sign in</title><form method="post">
<label>Name <input name="username"></label> <button>Sign in</button></form>"""
ANSWER = "<cas:serviceResponse xmlns:cas='http://www.yale.edu/tp/cas'>\n{}\n</cas:serviceResponse>"
FAILURE = '<cas:authenticationFailure code="{}">Refused.</cas:authenticationFailure>'
SIGN_OUT = """<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="{}" Version="2.0">
<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">@NOT_USED@</saml:NameID>
<samlp:SessionIndex>{}</samlp:SessionIndex></samlp:LogoutRequest>"""


@dataclass(frozen=True)
class Ticket:
    """What a ticket is for."""

    name: str
    service: str
    made_at: float


class CASServer:
    """The server. `people` are known by name, with their attributes; `url` is its address."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.reset()
        self.server = make_server(address, 0, self._app(), threaded=True)
        self.url = f"http://{address}:{self.server.port}/cas"

    def reset(self) -> None:
        """Know nobody, answer everything, and forget all tickets."""
        self.people: dict[str, dict[str, list[str]]] = {}
        self.tickets: dict[str, Ticket] = {}
        self.services: dict[str, list[tuple[str, str]]] = {}
        self.answer: str | None = None
        self.is_away = False

    @property
    def settings(self) -> CAS:
        """What the settings of a portal say about it."""
        return CAS(
            key="cas",
            prefix="PORTAL_CAS",
            name="Earth Sciences",
            address=self.url,
            claims=("groups", "memberOf"),
            rules=read_rules(RULES),
        )

    def know(self, name: str, /, **attributes: str | list[str]) -> None:
        """Let somebody be known under a name, with attributes."""
        self.people[name] = {key: [value] if isinstance(value, str) else value for key, value in attributes.items()}

    def give_ticket(self, name: str, service: str, kind: str = "ST") -> str:
        """Give somebody a ticket for a service."""
        ticket = f"{kind}-{secrets.token_urlsafe(20)}"
        self.tickets[ticket] = Ticket(name, service, time.time())
        self.services.setdefault(name, []).append((service, ticket))
        return ticket

    def agree(self, address: str, name: str) -> str:
        """Sign in here as a browser would that was sent to `address`; return where it is sent back to."""
        answer = requests.post(address, data={"username": name}, allow_redirects=False, timeout=PATIENCE)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def sign_out(self, name: str) -> None:
        """Tell all services that somebody went to that the sessions of their tickets have ended."""
        for service, ticket in self.services.pop(name, []):
            requests.post(service, data={"logoutRequest": make_sign_out(ticket)}, timeout=PATIENCE)

    def _app(self) -> Flask:
        app = Flask(__name__)
        app.before_request(lambda: ("The server is away.", 503) if self.is_away else None)
        app.add_url_rule("/cas/login", "login", self._login, methods=["GET", "POST"])
        app.add_url_rule("/cas/p3/serviceValidate", "validate", self._validate)
        return app

    def _login(self) -> str | tuple[str, int] | Answer:
        service = request.args["service"]
        if not urlsplit(service).path.startswith("/login/cas/callback/"):
            return "This service is not registered.", 403
        if request.method == "GET":
            return PAGE
        ticket = self.give_ticket(request.form["username"], service)
        return redirect(f"{service}{'&' if '?' in service else '?'}{urlencode({'ticket': ticket})}")

    def _validate(self) -> Response:
        if self.answer is not None:
            return Response(self.answer, mimetype="application/xml")
        given = request.args["ticket"]
        ticket = self.tickets.pop(given, None)
        if ticket is None or not given.startswith("ST-") or time.time() - ticket.made_at > TICKET_SECONDS:
            text = FAILURE.format("INVALID_TICKET")
        elif ticket.service != request.args["service"]:
            text = FAILURE.format("INVALID_SERVICE")
        else:
            text = make_success(ticket.name, self.people[ticket.name])
        return Response(ANSWER.format(text), mimetype="application/xml")


def make_success(name: str, attributes: dict[str, list[str]]) -> str:
    """Return the part of an answer that says whom a ticket is for."""
    values = [(key, escape(value)) for key, values in attributes.items() for value in values]
    inside = "".join(f"<cas:{key}>{value}</cas:{key}>" for key, value in values)
    return (
        f"<cas:authenticationSuccess><cas:user>{escape(name)}</cas:user>"
        f"<cas:attributes>{inside}</cas:attributes></cas:authenticationSuccess>"
    )


def make_sign_out(ticket: str) -> str:
    """Return what the server says to a service when the session of a ticket has ended."""
    return SIGN_OUT.format(secrets.token_hex(8), escape(ticket))


def cas_server(address: str = "127.0.0.1") -> AbstractContextManager[CASServer]:
    """Run a server in a thread."""
    return serve(CASServer(address))
