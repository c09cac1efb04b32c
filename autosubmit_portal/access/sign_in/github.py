"""Sign-in through GitHub: people of some organisations, with their teams there, as they themselves may see them.

Who somebody is, is their number: a login that was given up may be taken by anybody.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import requests
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.http import HttpRequest
from django.utils import timezone

from autosubmit_portal.access.sign_in.providers import GitHub, Person
from autosubmit_portal.access.sign_in.refusals import SignInRefused
from autosubmit_portal.access.sign_in.social import OAuth2, make_callback_address
from autosubmit_portal.sentences import say

SCOPES = ["read:org", "user:email"]
PER_PAGE = 100
MOST_PAGES = 20
LIMITED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


class GitHubSite(OAuth2, GitHubProvider):
    """GitHub, or a GitHub Enterprise of one's own, as the settings say."""

    provider: GitHub

    def __init__(self, request: HttpRequest, provider: GitHub) -> None:
        super().__init__(request, provider, oauth_pkce_enabled=True, scope=SCOPES)

    def get_oauth2_adapter(self, request: HttpRequest) -> "CodeFlow":
        """Return the way in which people sign in."""
        return CodeFlow(request, self)


class CodeFlow(GitHubOAuth2Adapter):
    """The code flow with GitHub; what it tells is read with the token of whoever signs in, which is kept nowhere."""

    headers = {"Accept": "application/json"}

    def __init__(self, request: HttpRequest, site: GitHubSite) -> None:
        super().__init__(request)
        self.site = site
        web = site.provider.address.rstrip("/")
        self.access_token_url = f"{web}/login/oauth/access_token"
        self.authorize_url = f"{web}/login/oauth/authorize"

    def get_provider(self) -> GitHubSite:
        """Return GitHub."""
        return self.site

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return the address that GitHub sends people back to."""
        return make_callback_address(request, self.site.provider)

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        """Return who signs in, with organisations and teams; whatever cannot be read ends it."""
        with get_adapter().get_requests_session() as session:
            session.headers["Authorization"] = f"Bearer {token.token}"
            try:
                return self.site.make_login(_Reader(self.site.provider, session).read_person())
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise OAuth2Error(f"It answers something else: {error!r}") from error


class _Reader:
    """Reads the REST API with the token of a session."""

    def __init__(self, provider: GitHub, session: requests.Session) -> None:
        self.provider = provider
        self.session = session

    def read_person(self) -> Person:
        """Return whose token it is."""
        about = self._ask(f"{self.provider.api}/user").json()
        organisations = set(self._list_organisations())
        return Person(
            provider=self.provider,
            subject=str(int(about["id"])),
            told_at=timezone.now(),
            values=frozenset({*organisations, *self._list_teams(organisations)}),
            username=about["login"],
            full_name=about.get("name") or "",
            email=self._find_email(),
            refusal="" if organisations else self._refuse_stranger(about["login"]),
        )

    def _list_organisations(self) -> Iterator[str]:
        """Yield our organisations that the person is a member of, and not only invited to."""
        for membership in self._list("/user/memberships/orgs?state=active"):
            name = membership["organization"]["login"].lower()
            if membership["state"] == "active" and name in self.provider.organisations:
                yield name

    def _list_teams(self, organisations: set[str]) -> Iterator[str]:
        for team in self._list("/user/teams") if organisations else ():
            organisation = team["organization"]["login"].lower()
            if organisation in organisations:
                yield f"{organisation}/{team['slug'].lower()}"

    def _find_email(self) -> str:
        """Return the main e-mail address if it is verified; blank without one."""
        addresses = self._list("/user/emails")
        return next((row["email"] for row in addresses if row["primary"] and row["verified"] is True), "")

    def _refuse_stranger(self, login: str) -> str:
        names = " or ".join(sorted(self.provider.organisations))
        return say(
            "{login} is no member of {names} at {provider}, "
            "or the organisation has not approved this portal as an application.",
            login=login,
            names=names,
            provider=self.provider.name,
        )

    def _list(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of all pages; a list that has no end is an error, not a part of the truth."""
        address = f"{self.provider.api}{path}{'&' if '?' in path else '?'}per_page={PER_PAGE}"
        for _ in range(MOST_PAGES):
            answer = self._ask(address)
            rows = answer.json()
            if not isinstance(rows, list):  # an object without rows would look like a list without any
                raise OAuth2Error(f"{path} is no list")
            yield from rows
            address = answer.links.get("next", {}).get("url", "")
            if not address:
                return
        raise OAuth2Error(f"{path} has more than {MOST_PAGES} pages")

    def _ask(self, address: str) -> requests.Response:
        """Return an answer of the API; raise SignInRefused when it has had enough of us, RequestException otherwise."""
        if not address.startswith(f"{self.provider.api}/"):  # nobody else gets the token
            raise OAuth2Error(f"It sends us to {address}")
        answer = self.session.get(address, allow_redirects=False)
        if answer.status_code in LIMITED and answer.headers.get("X-RateLimit-Remaining") == "0":
            until = datetime.fromtimestamp(int(answer.headers["X-RateLimit-Reset"]), UTC)
            text = say(
                "{name} answers no more questions before {until} UTC. Try again then.",
                name=self.provider.name,
                until=f"{until:%H:%M}",
            )
            raise SignInRefused(text, status=503)
        answer.raise_for_status()
        if answer.status_code != HTTPStatus.OK:
            raise OAuth2Error(f"{address} is somewhere else now")
        return answer
