"""The agent calls its gateways over WebSocket, where the site lets nobody in: one stream and one agent for each."""

import os
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.proxy import get_proxy
from websockets.sync.client import ClientConnection, connect
from websockets.uri import WebSocketURI, parse_uri

from autosubmit_portal.agent.protocol import limits
from autosubmit_portal.agent.site_file import BadSiteFileError, read_site_file

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
# A stream that has held for so long was a good one.
GOOD_SECONDS = 30.0
# How often the names of gateways are looked up: pods come and go.
LOOK_UP_SECONDS, FIRST_LOOK_UP_SECONDS = 30.0, 2.0
CALL_SECONDS = 15.0
# An agent ends when its channel does; one that hangs on a disk would keep its host from calling.
KILL_SECONDS = 10.0
_FAREWELL_SECONDS = 1.0
_MOST_ANSWER = 200
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_TOKEN = re.compile(r"[!-~]{32,512}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Which host this is, the file that proves it, and who may see that: those whom the system or a file trusts."""

    host: str
    token_file: Path
    ca_file: Path | None = None
    is_plain: bool = False

    def read_token(self) -> str:
        """Return the token as it is now. Raises OSError, and ValueError for what is none."""
        token = self.token_file.read_text(encoding="utf-8", errors="replace").strip()
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"{self.token_file} must hold a token of at least 32 characters, and nothing else.")
        return token


class Link(threading.Thread):
    """Calls one address of a gateway for ever, after growing pauses, and has an agent serve it while it answers."""

    def __init__(self, uri: str, address: str, credentials: Credentials, agent: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._uri = uri
        self._address = address
        self._credentials = credentials
        self._agent = agent
        self.is_wanted = True

    def run(self) -> None:
        """Call until nobody wants this address any more."""
        pause = FIRST_PAUSE_SECONDS
        while self.is_wanted:
            began = time.monotonic()
            reason = self._call()
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - began > GOOD_SECONDS else pause
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 # so that not all call at once
            _tell(f"{self._uri} ({self._address or 'by its proxy'}): {reason} Calling again in {wait:.1f} s.")
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _call(self) -> str:
        """Hold one stream to its end; return why it ended or could not be opened."""
        try:
            web_socket = self._open()
            with web_socket:
                self._serve(web_socket)
        except InvalidStatus as error:
            body = (error.response.body or b"")[:_MOST_ANSWER].decode("ascii", "replace")
            return f"The answer is {error.response.status_code}. {' '.join(body.split())}"
        except (OSError, ValueError, ImportError, WebSocketException) as error:
            return f"{str(error) or type(error).__name__}."
        return "The stream has ended."

    def _open(self) -> ClientConnection:
        token = self._credentials.read_token()
        is_secure = self._uri.startswith("wss:")
        trusted = ssl.create_default_context(cafile=self._credentials.ca_file) if is_secure else None
        direct = None
        if self._address:
            direct = socket.create_connection((self._address, parse_uri(self._uri).port), CALL_SECONDS)
            direct.settimeout(None)
        return connect(
            self._uri,
            sock=direct,
            ssl=trusted,
            additional_headers={"Authorization": f"Bearer {token}"},
            user_agent_header=None,
            compression=None,
            open_timeout=CALL_SECONDS,
            ping_interval=None,  # the protocol beats
            close_timeout=_FAREWELL_SECONDS,
            max_size=limits.MOST_FRAME_BYTES,
        )

    def _serve(self, web_socket: ClientConnection) -> None:
        """Have an agent serve what has been opened, until one of the two ends."""
        with subprocess.Popen(self._agent, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
            answers = threading.Thread(target=_carry_answers, args=(agent, web_socket), daemon=True)
            answers.start()
            threading.Thread(target=_close_after, args=(agent, answers, web_socket), daemon=True).start()
            _carry_requests(web_socket, cast("IO[bytes]", agent.stdin))
            try:
                agent.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:
                agent.kill()
            answers.join()


class Connector:
    """Keeps a link to each address of each gateway: they do not talk to each other."""

    def __init__(
        self, gateways: Sequence[str], credentials: Credentials, agent: Sequence[str], site_file: Path
    ) -> None:
        """Raise ValueError for what cannot be called, whatever is tried."""
        if not _NAME.fullmatch(credentials.host):
            raise ValueError(f"--host: {credentials.host!a} is no name of a host.")
        self._credentials = credentials
        # By its link, so that one that was installed meanwhile serves from the next call on.
        self._agent = [sys.executable, "-I", os.path.abspath(sys.argv[0]), os.path.abspath(site_file)]
        self._site_file = site_file
        self._links: dict[str, dict[str, Link]] = {_make_uri(gateway, credentials): {} for gateway in gateways}

    def run(self) -> None:
        """Call for ever. Raises ValueError while the file of the site cannot be used at the start."""
        try:
            read_site_file(self._site_file)
        except BadSiteFileError as error:
            raise ValueError(str(error)) from error
        while True:
            for uri in self._links:
                self._follow(uri)
            time.sleep(LOOK_UP_SECONDS if all(self._links.values()) else FIRST_LOOK_UP_SECONDS)

    def _follow(self, uri: str) -> None:
        """Have a link to each address that a gateway has now; streams that hold are left alone."""
        try:
            addresses = _look_up(parse_uri(uri))
        except OSError as error:
            _tell(f"{uri}: {error}.")
            return
        links = self._links[uri]
        for address, link in tuple(links.items()):
            link.is_wanted = address in addresses
            if not link.is_alive():
                del links[address]
        for address in addresses - links.keys():
            links[address] = Link(uri, address, self._credentials, self._agent)
            links[address].start()


def _make_uri(gateway: str, credentials: Credentials) -> str:
    """Return the address at which a gateway expects this host."""
    try:
        parsed = parse_uri(gateway)
    except WebSocketException as error:
        raise ValueError(f"--to: {error}.") from error
    if parsed.query or parsed.username or "?" in gateway:
        raise ValueError(f"--to: {gateway} must have neither an account nor a query: the token is sent in a header.")
    if not parsed.secure and not credentials.is_plain:
        raise ValueError(
            f"--to: {gateway} must begin with wss://. Without TLS the network sees the token: --without-tls."
        )
    return f"{gateway.rstrip('/')}/{credentials.host}"


def _look_up(uri: WebSocketURI) -> set[str]:
    """Return the addresses of a gateway; one that is blank where a proxy has to look them up."""
    if get_proxy(uri):
        return {""}
    return {str(found[4][0]) for found in socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)}


def _carry_requests(web_socket: ClientConnection, requests: IO[bytes]) -> None:
    """Pass on what the gateway sends until no more comes; then the agent's channel is closed."""
    with suppress(OSError, ConnectionClosed), requests:
        for message in web_socket:
            data = memoryview(message.encode() if isinstance(message, str) else message)
            while data:
                data = data[requests.write(data) :]


def _carry_answers(agent: "subprocess.Popen[bytes]", web_socket: ClientConnection) -> None:
    """Pass on what the agent says until it ends."""
    answers = cast("IO[bytes]", agent.stdout)
    with suppress(OSError, ConnectionClosed, ValueError):
        while data := os.read(answers.fileno(), limits.MOST_FRAME_BYTES):
            web_socket.send(data)
        web_socket.close()


def _close_after(agent: "subprocess.Popen[bytes]", answers: threading.Thread, web_socket: ClientConnection) -> None:
    """Close the stream when its agent has ended, also where what it said last goes nowhere."""
    agent.wait()
    answers.join(_FAREWELL_SECONDS)
    with suppress(OSError):
        web_socket.socket.shutdown(socket.SHUT_RDWR)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
