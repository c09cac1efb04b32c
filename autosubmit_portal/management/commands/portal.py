"""`manage.py portal`: the whole portal on one machine, until Ctrl-C."""

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, connections

from autosubmit_portal.db import history
from autosubmit_portal.management.processes import Child, make_commands

LOOK_SECONDS = 0.3
STOP_SECONDS = 20.0
LONG_START_SECONDS = 30.0


class Command(BaseCommand):
    """Starts the gateway, the web server, a worker and the mirror, restarts what dies, and stops all together."""

    help = "Run gateway, web server, worker and mirror until Ctrl-C. Experiments that run go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare where the web server listens."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check what is needed, then supervise."""
        self.host, self.port = options["host"], options["port"]
        with _hold_lock(settings.PORTAL_HOME):
            _require_migrated()
            _require_static_files()
            _require_free(self.host, self.port)
            connections.close_all()
            self._supervise([Child(name, command) for name, command in make_commands(self.host, self.port).items()])

    def _supervise(self, children: list[Child]) -> None:
        self.stop, self.hurry = threading.Event(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                signal.signal(number, self._on_signal)
        self._say("Starting gateway, web server, worker and mirror …")
        self.began, self.is_announced = time.monotonic(), False
        try:
            while not self.stop.wait(LOOK_SECONDS):
                for child in children:
                    self._say(child.look())
                self._announce()
        finally:
            self._stop(children)

    def _on_signal(self, *_: Any) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()

    def _announce(self) -> None:
        if self.is_announced:
            return
        if _is_answering(self.host, self.port):
            self.is_announced = True
            self._say(f"Autosubmit Portal is at http://{_get_address(self.host)}:{self.port}{settings.PORTAL_PATH}")
            self._say(f"Sign in with the account in {settings.PORTAL_HOME / 'credentials'}. Ctrl-C stops the portal.")
        elif time.monotonic() - self.began > LONG_START_SECONDS:
            self.began = time.monotonic()
            self._say("The web server does not answer yet; still waiting.")

    def _stop(self, children: list[Child]) -> None:
        self._say("Stopping; experiments that run go on …")
        for child in children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        while not self.hurry.is_set() and time.monotonic() < deadline:
            if all(child.is_gone_by(time.monotonic() + LOOK_SECONDS) for child in children):
                break
        for child in children:
            if not child.is_gone_by(0.0):
                self._say(f"{child.name} did not end and is killed.")
            child.kill()
        self._say("Stopped.")

    def _say(self, text: str) -> None:
        """Print a line; a closed terminal must not prevent the portal from stopping its processes."""
        if text:
            with contextlib.suppress(OSError):
                self.stdout.write(text)
                self.stdout.flush()


@contextlib.contextmanager
def _hold_lock(home: Path) -> Iterator[None]:
    """Hold the lock of this PORTAL_HOME; the kernel frees it however this process ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "portal.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise CommandError(f"A portal runs already in {home} (process {file.read().strip()}).") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _require_migrated() -> None:
    try:
        is_behind = not history.is_current(connection)
    except DatabaseError as error:
        raise CommandError(f"The database cannot be used: {error}") from error
    if is_behind:
        raise CommandError(
            f"The database is not up to date. Run `{settings.COMMAND_LINE} migrate`, or "
            f"`{settings.COMMAND_LINE} up`, which does."
        )


def _require_static_files() -> None:
    if not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        raise CommandError(
            f"The static files are missing. Run `{settings.COMMAND_LINE} collectstatic`, or "
            f"`{settings.COMMAND_LINE} up`, which does."
        )


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = f"Cannot listen on port {port} of {host}: {error}."
            raise CommandError(f"{reason} Choose another: --port (make up PORT=…).") from error


def _is_answering(host: str, port: int) -> bool:
    """Return whether the web server answers anything at all; what it says of its parts is for /healthz itself."""
    request = http.client.HTTPConnection(_get_address(host), port, timeout=5)
    try:
        request.request("GET", "/healthz")
        request.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        request.close()
    return True


def _get_address(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - nothing is bound here
