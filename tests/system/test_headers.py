"""An outside scan of a real web server: the headers and cookies of answers of every kind, and what they give away."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autosubmit_portal.web import MOST_BODY_BYTES, MOST_HEAD_BYTES
from tests.support import web
from tests.support.headers import complaints
from tests.support.scanner import Scanner
from tests.support.services import Portal
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.system

SECRETS = {
    "PORTAL_SECRET_KEY": "a-secret-key-that-nobody-may-ever-see",
    "PORTAL_BROKER_URL": "redis://:hunter-two@127.0.0.1:1/0",
}
TRAIL = "from autosubmit_portal.audit.models import AuditEntry; print(list(AuditEntry.objects.values()))"
PROXY = {"X-Forwarded-Proto": "https", "Host": "portal.example.org"}
LOG = f"/v4/experiments/a000/logs/{web.LOG}"


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server behind a proxy that speaks HTTPS, whose secrets stand in files and whose broker is away."""
    home = tmp_path_factory.mktemp("web")
    files = {}
    for name, text in SECRETS.items():
        (home / name).write_text(f"{text}\n")
        files[f"{name}_FILE"] = str(home / name)
    others = {"PORTAL_HTTPS": "true", "PORTAL_ALLOWED_HOSTS": "portal.example.org,127.0.0.1"}
    made = web.serve(home, static_files, **files, **others, PORTAL_LOG_LEVEL="INFO")
    yield made
    made.tear_down()


@pytest.fixture(scope="module")
def scanner(server: Portal) -> Scanner:
    """A scanner that has signed in."""
    made = Scanner(server, PROXY)
    made.sign_in("admin", web.PASSWORD)
    return made


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/experiments/", 200),
        ("/experiments", 302),
        ("/nothing/here/", 404),
        ("/v4", 200),
        ("/v4/experiments", 200),
        ("/v4/experiments/a0zz", 404),
        ("/v4/nothing", 404),
        ("/v4/docs", 200),
        ("/v4/schema", 200),
        ("/v4/audit?format=csv", 200),
        (LOG, 200),
        (f"{LOG}?download=true", 200),
        ("/v4/actions/1/output", 200),
        ("/healthz", 200),
        ("/metrics", 200),
        ("/static/portal/logo.svg", 200),
        ("/static/nothing.js", 404),
    ],
)
def test_every_header_of_an_answer_is_as_it_must_be(scanner: Scanner, path: str, status: int) -> None:
    answer = scanner.ask(path, Accept="text/html,*/*;q=0.8")
    assert answer.status == status
    assert complaints(answer.headers, cookies=answer.headers.get_all("Set-Cookie", []), is_https=True) == []


def test_what_is_too_long_is_refused_by_the_web_server_itself(scanner: Scanner) -> None:
    assert scanner.ask(f"/v4/experiments?query={'x' * MOST_HEAD_BYTES}").status == 431
    assert scanner.ask("/v4/experiments", **{"X-Long": "x" * MOST_HEAD_BYTES}).status == 431


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(scanner: Scanner) -> None:
    assert scanner.ask("/v4/actions", "POST", **{"Content-Length": str(MOST_BODY_BYTES)}).status == 413


def test_a_body_may_come_in_chunks(server: Portal) -> None:
    headers = PROXY | {"Authorization": f"Bearer {server.credentials.token}"}
    headers |= {"Content-Type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/v4/tokens", iter([b'{"name": ', b'"in chunks"}']), headers)
        assert connection.getresponse().status == 201


def test_a_connection_is_kept_after_an_answer_without_a_body(server: Portal) -> None:
    headers = PROXY | {"Authorization": f"Bearer {server.credentials.token}"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/v4/experiments/a000/runs", headers=headers)
        answer = connection.getresponse()
        answer.read()
        used, known = connection.sock, {"If-None-Match": answer.headers["ETag"]}
        connection.request("GET", "/v4/experiments/a000/runs", headers=headers | known)
        assert connection.getresponse().status == 304
        assert connection.sock is used


def test_who_comes_without_https_is_sent_to_it(server: Portal) -> None:
    answer = Scanner(server, PROXY).ask("/", **{"X-Forwarded-Proto": "http"})
    assert (answer.status, answer.headers["Location"]) == (301, "https://portal.example.org/")


def test_the_cookies_of_a_session_are_for_it_alone(server: Portal) -> None:
    made = Scanner(server, PROXY)
    answer = made.ask("/login/")
    cookies = answer.headers.get_all("Set-Cookie")
    assert len(cookies) == 1
    assert complaints(answer.headers, cookies=cookies, is_https=True) == []
    made.sign_in("admin", web.PASSWORD)
    assert "sessionid" in made.cookies


@pytest.mark.parametrize("path", [LOG, f"{LOG}?download=true", "/v4/actions/1/output"])
def test_no_browser_takes_a_log_for_a_page(scanner: Scanner, path: str) -> None:
    answer = scanner.ask(path, Accept="text/html,*/*;q=0.8")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_name_that_is_not_the_portals_is_refused(scanner: Scanner) -> None:
    assert scanner.ask("/", Host="evil.example.org").status == 400


def test_no_secret_is_in_any_answer_or_log(scanner: Scanner, server: Portal) -> None:
    for path in ("/healthz?strict=true", "/metrics", "/health/", "/v4/audit?format=jsonl", "/v4/actions?x=1"):
        scanner.ask(path, Accept="*/*")
    made = server.http.post("/v4/tokens", {"name": "scan"}, **PROXY)
    assert made.status == 201
    trail = server.manage("shell", "--no-imports", "-c", TRAIL)
    told = "".join(scanner.seen) + server.log("web") + trail
    secrets = [*SECRETS.values(), "hunter-two", web.PASSWORD, server.credentials.token, made.body["token"]]
    assert [secret for secret in secrets if secret in told] == []
