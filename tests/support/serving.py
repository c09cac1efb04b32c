"""Servers of the tests' own, beside the test in a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Protocol, TypeVar

from werkzeug.serving import BaseWSGIServer


class Served(Protocol):
    """What has a server."""

    server: BaseWSGIServer


T = TypeVar("T", bound=Served)


@contextmanager
def serve(made: T) -> Iterator[T]:
    """Have its server answer until the block ends."""
    thread = Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
