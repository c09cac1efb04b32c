"""The client of the bench, on a small server of its own."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.tools.bench.load import Connection, Server, take_turn

BODY = b"x" * 500_000


class Handler(BaseHTTPRequestHandler):
    """Answers /whole and /chunks with a long body, /closed the same and closes, anything else with 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = self.path in ("/whole", "/chunks", "/closed") and self.headers["Authorization"] == "Bearer t"
        self.send_response(200 if found else 404)
        if self.path == "/closed":
            self.send_header("Connection", "close")
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
            return
        self.send_header("Content-Length", str(len(BODY) if found else 0))
        self.end_headers()
        self.wfile.write(BODY if found else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Server("small", f"http://127.0.0.1:{http.server_port}", "t")
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/whole", "/chunks", "/closed"])
def test_whole_bodies_are_read_one_after_the_other(server: Server, path: str) -> None:
    connection = Connection(server)
    answers = [connection.ask(connection.request(path)) for _ in range(3)]
    connection.close()
    assert [(status, BODY in body) for status, body in answers] == [(200, True)] * 3


def test_each_client_asks_at_least_once_and_is_counted(server: Server) -> None:
    sample = take_turn(server, "/whole", clients=4, seconds=0)
    assert (len(sample.milliseconds), dict(sample.statuses), sample.failure) == (4, {200: 4}, "")


def test_a_refusal_is_told(server: Server) -> None:
    assert take_turn(server, "/missing", clients=1, seconds=0).failure == "HTTP 404"


def test_a_server_that_is_not_there_raises(server: Server) -> None:
    gone = Server("gone", "http://127.0.0.1:1", "t")
    with pytest.raises(ConnectionRefusedError):
        take_turn(gone, "/whole", clients=1, seconds=0)
