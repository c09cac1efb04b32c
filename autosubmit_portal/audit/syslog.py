"""Forward the trail to syslog (RFC 5424), each entry when it is committed.

A thread sends, so that no request waits for the collector or fails with it. While the collector is away, the thread
tries again and keeps a limited number of entries; the log names what is lost, and `manage.py audit export --after` has
it. Python's SysLogHandler does not write RFC 5424, does not frame messages over TCP, and may block.
"""

import atexit
import logging
import os
import queue
import socket
import threading
import time
from datetime import UTC
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from autosubmit_portal.audit import chain
from autosubmit_portal.audit.models import AuditEntry

logger = logging.getLogger(__name__)

APP_NAME = "autosubmit-portal"
FACILITY = 13  # log audit
NOTICE, WARNING = 5, 4
PORT = 514
# RFC 5612 keeps this number for those who have registered none.
STRUCTURE = "entry@32473"
MOST_BYTES = 8192
"""What common receivers take; of a longer entry the details stay here, and its digest proves them."""
LONGEST_MESSAGE = 500

MOST_WAITING = 10_000
TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 5.0
FLUSH_SECONDS = 2.0

_making = threading.Lock()


def forward(entry: AuditEntry) -> None:
    """Send an entry to PORTAL_AUDIT_SYSLOG when its transaction commits."""
    url = settings.AUDIT_SYSLOG
    transaction.on_commit(lambda: get_sender(url).put(entry), robust=True)


def get_sender(url: str) -> "Sender":
    """Return the sender of this process: a thread does not survive a fork."""
    with _making:
        return _start(url, os.getpid())


@cache
def _start(url: str, pid: int) -> "Sender":
    made = Sender(url)
    made.start()
    atexit.register(made.flush)
    return made


class Sender(threading.Thread):
    """Sends entries to one address, `udp://host:port`, `tcp://host:port` or `unix:///path`, one after the other."""

    def __init__(self, url: str) -> None:
        super().__init__(name="audit-syslog", daemon=True)
        self.where, self.url = url, urlsplit(url)
        self.waiting: queue.Queue[AuditEntry] = queue.Queue(MOST_WAITING)
        self._socket: socket.socket | None = None
        self._is_failing = False

    def put(self, entry: AuditEntry) -> None:
        """Queue an entry to be sent, without waiting. If there is no room, the log says what is lost."""
        try:
            self.waiting.put_nowait(entry)
        except queue.Full:
            logger.error(
                "Entry %s is not forwarded to %s: `%s audit export --after %s` has it",
                entry.pk,
                self.where,
                settings.COMMAND_LINE,
                entry.pk - 1,
            )

    def run(self) -> None:
        """Send queued entries until the process ends."""
        while True:
            entry = self.waiting.get()
            while not self._send(write_message(entry)):
                time.sleep(RETRY_SECONDS)
            self.waiting.task_done()

    def flush(self) -> None:
        """Wait a moment for unsent entries: the process ends."""
        until = time.monotonic() + FLUSH_SECONDS
        while self.waiting.unfinished_tasks and self.is_alive() and time.monotonic() < until:
            time.sleep(0.01)

    def _send(self, text: bytes) -> bool:
        try:
            self._socket = self._socket or self._connect()
            self._socket.sendall(b"%d %s" % (len(text), text) if self.url.scheme == "tcp" else text)
        except OSError as error:
            self._fail(error)
            return False
        if self._is_failing:
            logger.warning("The trail is forwarded to %s again", self.where)
        self._is_failing = False
        return True

    def _fail(self, error: OSError) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None
        if not self._is_failing:
            logger.error("The trail cannot be forwarded to %s: %s", self.where, error)
        self._is_failing = True

    def _connect(self) -> socket.socket:
        if self.url.scheme == "unix":
            return _open_socket(socket.AF_UNIX, self.url.path)
        address = (self.url.hostname or "localhost", self.url.port or PORT)
        if self.url.scheme == "tcp":
            return socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        family, _, _, _, resolved = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        return _open_socket(family, resolved)


def _open_socket(family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.settimeout(TIMEOUT_SECONDS)
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def write_message(entry: AuditEntry) -> bytes:
    """Return an entry as a message of RFC 5424: its number and digests as structured data, all of it as JSON."""
    values = {name: getattr(entry, name) for name in chain.VERSIONS[chain.NEWEST]}
    text = _write_message(entry, chain.write_json(values))
    if len(text) > MOST_BYTES:
        brief = values | {"details": {}, "message": entry.message[:LONGEST_MESSAGE], "is_cut": True}
        text = _write_message(entry, chain.write_json(brief))
    return text


def _write_message(entry: AuditEntry, said: str) -> bytes:
    is_bad = entry.event.endswith(("refused", "failed", "lost"))
    head = f"<{FACILITY * 8 + (WARNING if is_bad else NOTICE)}>1"
    at = entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    data = f'[{STRUCTURE} id="{entry.pk}" previous="{entry.previous}" digest="{entry.digest}"]'
    words = (head, at, socket.gethostname()[:255], APP_NAME, str(os.getpid()), entry.event[:32], data, said)
    return " ".join(words).encode("ascii", "backslashreplace")
