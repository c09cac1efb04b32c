"""A client of the console that scans what it is answered."""

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.support.services import Portal
from tests.support.waiting import PATIENCE


class Scanner:
    """Asks one server with some headers in each request, such as those of a proxy, and keeps what it was answered."""

    def __init__(self, portal: Portal, headers: Mapping[str, str]) -> None:
        self.portal = portal
        self.headers = dict(headers)
        self.cookies: dict[str, str] = {}
        self.seen: list[str] = []

    def ask(self, path: str, method: str = "GET", body: str = "", **headers: str) -> Any:
        """Return the answer, whose body is in `seen`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.portal.port, timeout=PATIENCE)
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body, self.headers | ({"Cookie": jar} if jar else {}) | headers)
        answer = connection.getresponse()
        self.seen.append(f"{answer.headers}\n{answer.read().decode(errors='replace')}")
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer

    def sign_in(self, username: str, password: str) -> None:
        """Sign in to the console."""
        self.ask("/login/")
        token = self.cookies["csrftoken"]
        form = {"username": username, "password": password, "csrfmiddlewaretoken": token, "next": "/"}
        scheme = self.headers.get("X-Forwarded-Proto", "http")
        where = f"{scheme}://{self.headers.get('Host', '127.0.0.1')}/login/"
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Referer": where}
        assert self.ask("/login/", "POST", urlencode(form), **kind).status == 302
