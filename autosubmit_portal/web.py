"""The worker class of gunicorn that serves the portal: waitress keeps slow clients away from the working threads.

One thread reads and writes for all connections. A working thread gets a request when its body is complete, and is free
when its answer is made, however slowly the client sends and reads. The limits of time for slow clients are here;
waitress itself has only one, for idle connections.
"""

import logging
import os
import socket
import time
from typing import Any

from django.conf import settings
from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher, WSGITask

# docs/security.md lists these limits.
HEAD_SECONDS = 10.0
BODY_SECONDS = 60.0
IDLE_SECONDS = 60
UNREAD_SECONDS = 30.0
MOST_CONNECTIONS = 800
# A line of a request and all its headers together.
MOST_HEAD_BYTES = 16_384
# Longer requests are refused here. Django refuses bodies above DATA_UPLOAD_MAX_MEMORY_SIZE, with a problem document.
MOST_BODY_BYTES = 16 * 1024 * 1024
# So much of an answer is kept in memory until the client has read it; the rest of a longer one is made meanwhile.
KEPT_BYTES = 8 * 1024 * 1024
LOOK_SECONDS = 1.0


class Task(WSGITask):
    """A request and its answer."""

    def set_close_on_finish(self) -> None:
        """Close the connection after the answer; an answer without a body (304) is no reason to."""
        is_wanted = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or is_wanted or self.version != "1.1":
            super().set_close_on_finish()


class Channel(HTTPChannel):
    """A connection that knows since when its client has not sent the rest of a request."""

    task_class = Task

    def __init__(self, server: Any, connection: Any, address: Any, *args: Any, **kwargs: Any) -> None:
        if connection.family == socket.AF_UNIX:  # a Unix socket has no client address; the proxy sends it
            address = ("", None)
        self.owing_since: float | None = time.monotonic()
        super().__init__(server, connection, address, *args, **kwargs)  # type: ignore[no-untyped-call]

    def received(self, data: bytes) -> bool:
        """Take data from the client."""
        is_taken: bool = super().received(data)  # type: ignore[no-untyped-call]
        if self.request is None:
            self.owing_since = None
        elif self.owing_since is None:
            self.owing_since = time.monotonic()
        return is_taken

    def is_too_slow(self) -> bool:
        """Return whether the client takes too long to send a request or to read an answer."""
        if self.total_outbufs_len:
            return time.time() - self.last_activity > UNREAD_SECONDS
        if self.owing_since is None or self.requests:
            return False
        is_in_body = self.request is not None and self.request.headers_finished
        return time.monotonic() - self.owing_since > (BODY_SECONDS if is_in_body else HEAD_SECONDS)


class PortalWorker(Worker):
    """Serves until it is asked to stop; then it answers the requests that it has and takes no more."""

    def run(self) -> None:
        """Serve."""
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that requests wait is no news
        self.map: dict[int, Any] = {}
        self.dispatcher = ThreadedTaskDispatcher()
        self.dispatcher.set_thread_count(settings.WEB_THREADS)
        self.servers = [self._make_server(listener.sock) for listener in self.sockets]
        looked = time.monotonic()
        while self.alive and self.ppid == os.getppid():
            self._serve_once(LOOK_SECONDS)
            if time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                self._end_slow_ones()
        self._finish()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take note of SIGTERM, and wake up."""
        super().handle_exit(sig, frame)  # type: ignore[no-untyped-call]
        for server in getattr(self, "servers", ()):
            server.pull_trigger()

    def _make_server(self, listener: Any) -> BaseWSGIServer:
        server: BaseWSGIServer = create_server(
            self.wsgi,
            map=self.map,
            _dispatcher=self.dispatcher,
            sockets=[listener],
            url_prefix=settings.FORCE_SCRIPT_NAME or "",
            ident=None,  # nobody outside needs to know what serves
            clear_untrusted_proxy_headers=False,  # the portal knows how many of our proxies stand in front
            connection_limit=MOST_CONNECTIONS,
            asyncore_use_poll=True,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=1,
            channel_request_lookahead=1,  # to notice who has gone
            max_request_header_size=MOST_HEAD_BYTES,
            max_request_body_size=MOST_BODY_BYTES,
            outbuf_overflow=KEPT_BYTES,
            outbuf_high_watermark=KEPT_BYTES,
            log_socket_errors=False,
        )
        server.channel_class = Channel  # type: ignore[assignment]
        return server

    def _serve_once(self, seconds: float) -> None:
        self.notify()  # type: ignore[no-untyped-call]
        wasyncore.loop(timeout=seconds, use_poll=True, map=self.map, count=1)

    def _list_channels(self) -> list[Channel]:
        return [channel for server in self.servers for channel in server.active_channels.values()]

    def _end_slow_ones(self) -> None:
        for channel in self._list_channels():
            if channel.is_too_slow():
                channel.handle_close()  # type: ignore[no-untyped-call]

    def _finish(self) -> None:
        from autosubmit_portal import waits  # it reads the settings, which nobody has named when this file is loaded

        waits.end_waits()
        for server in self.servers:
            server.accepting = False
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while any(channel.requests or channel.total_outbufs_len for channel in self._list_channels()):
            if time.monotonic() > deadline:
                return
            self._serve_once(0.1)
