"""A plain reverse proxy that has one path for the portal and forwards it as it is, as an ingress of Kubernetes does."""

import http.client
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OF_THE_CONNECTION = ("connection", "keep-alive", "transfer-encoding")


class PathProxy(ThreadingHTTPServer):
    """Forwards what is below `path` to a port of this host. It notes what else it is asked for, and answers 404."""

    daemon_threads = True

    def __init__(self, path: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.path, self.port = path, port
        self.strays: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: PathProxy

    def _answer(self) -> None:
        if self.path.startswith(self.server.path):
            self._forward()
        else:
            self.server.strays.append(self.path)
            self.send_error(404)

    do_GET = do_POST = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # Whoever goes to another page does not wait for the rest.
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port)) as upstream, suppress(ConnectionError):
            upstream.request(self.command, self.path, body or None, dict(self.headers))
            answer = upstream.getresponse()
            self.send_response_only(answer.status)
            for name, text in answer.getheaders():
                if name.lower() not in OF_THE_CONNECTION:
                    self.send_header(name, text)
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def forwarding(path: str, port: int) -> Iterator[PathProxy]:
    """Have such a proxy, as long as the block lasts."""
    with PathProxy(path, port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
