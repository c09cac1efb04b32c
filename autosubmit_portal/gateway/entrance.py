"""Where agents call over WebSocket: whoever shows the token of a host becomes its channel.

TLS ends before, at the proxy that passes one path on. Nothing here is trusted before a token was shown: heads are
short and quick, sockets are few, and whoever is refused learns which rule they broke and nothing else.
"""

import hmac
import logging
import re
import select
import socket
import sys
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

from websockets.http11 import Request
from websockets.server import ServerProtocol

from autosubmit_portal.agent.protocol import limits
from autosubmit_portal.gateway.called_channel import CalledChannel
from autosubmit_portal.gateway.channels import digest_token
from autosubmit_portal.sentences import say

MOST_HANDSHAKES = 100
MOST_HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
# So that whoever is refused reads why before the connection is reset.
_FAREWELL_SECONDS = 1.0
# Wrong tokens that are looked at and told; a token cannot be guessed, but logs can be filled.
_WRONG_PER_SECOND, _WRONG_AT_ONCE = 0.2, 20
_SILENT = logging.getLogger(__name__)
_SILENT.disabled = True
_BEARER = re.compile(r"Bearer ([!-~]{1,512})")
WRONG = say("Somebody has called as this host with a token that is not valid.")
OF_ANOTHER = say("Somebody has called as this host with the token of another host.")


@dataclass(eq=False, slots=True)
class Handshake:
    """A connection on which nobody has shown a token yet; `is_over` when an answer was sent."""

    socket: socket.socket
    protocol: ServerProtocol
    deadline: float
    bytes_read: int = 0
    is_over: bool = False


class Entrance:
    """Lets agents in who connect to a listener."""

    def __init__(self, listener: socket.socket, now: float) -> None:
        self._listener = listener
        self._handshakes: dict[int, Handshake] = {}
        self._wrong = limits.Rate(_WRONG_PER_SECOND, _WRONG_AT_ONCE, now)
        self._untold = 0

    def register(self, poll: select.poll) -> None:
        """Wait for callers, and for what they say."""
        for descriptor in (self._listener.fileno(), *self._handshakes):
            poll.register(descriptor, select.POLLIN)

    def turn(self, ready: set[int], channels: Mapping[str, CalledChannel], now: float) -> None:
        """Hear those who are ready, leave those who take too long, and accept who is new."""
        for descriptor, handshake in tuple(self._handshakes.items()):
            if descriptor in ready:
                self._hear(handshake, channels, now)
            elif now > handshake.deadline:
                self._leave(handshake)
        if self._listener.fileno() in ready:
            self._accept(now)

    def _accept(self, now: float) -> None:
        """Take who waits; of too many the oldest has to go, so that those who say nothing keep nobody out."""
        for _ in range(MOST_HANDSHAKES):
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            connected.setblocking(False)
            if len(self._handshakes) >= MOST_HANDSHAKES:
                self._leave(next(iter(self._handshakes.values())))
            # No page of a browser is let in, and nobody fills the log with their mistakes.
            protocol = ServerProtocol(origins=[None], max_size=limits.MOST_FRAME_BYTES, logger=_SILENT)
            self._handshakes[connected.fileno()] = Handshake(connected, protocol, now + HEAD_SECONDS)

    def _leave(self, handshake: Handshake) -> None:
        del self._handshakes[handshake.socket.fileno()]
        handshake.socket.close()

    def _hear(self, handshake: Handshake, channels: Mapping[str, CalledChannel], now: float) -> None:
        try:
            data = handshake.socket.recv(MOST_HEAD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        handshake.bytes_read += len(data)
        if not data or handshake.bytes_read > MOST_HEAD_BYTES:
            self._leave(handshake)
        elif not handshake.is_over:
            handshake.protocol.receive_data(data)
            requests = handshake.protocol.events_received()
            if requests:
                self._answer(handshake, cast("Request", requests[0]), channels, now)
            elif handshake.protocol.handshake_exc:  # no HTTP
                self._leave(handshake)

    def _answer(
        self, handshake: Handshake, request: Request, channels: Mapping[str, CalledChannel], now: float
    ) -> None:
        """Let the caller in, or say why not."""
        protocol = handshake.protocol
        response = protocol.accept(request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            try:
                channel, shown = self._find_channel(request, channels, now)
            except _Refused as refused:
                response = protocol.reject(refused.status, f"{refused}\n")
            else:
                protocol.send_response(response)
                del self._handshakes[handshake.socket.fileno()]
                channel.let_in(handshake.socket, protocol, shown, now)
                return
        protocol.send_response(response)
        with suppress(OSError):
            handshake.socket.send(b"".join(protocol.data_to_send()))
            handshake.socket.shutdown(socket.SHUT_WR)
        handshake.is_over, handshake.deadline = True, now + _FAREWELL_SECONDS

    def _find_channel(
        self, request: Request, channels: Mapping[str, CalledChannel], now: float
    ) -> tuple[CalledChannel, str]:
        """Return the channel of the host that is called as, and the digest of the token. Raises _Refused."""
        path, query, _ = request.path.partition("?")
        if query:  # logs of proxies keep it
            raise _Refused(HTTPStatus.BAD_REQUEST, say("The address must have no query."))
        host = path.rpartition("/")[2]
        shown = _digest_shown(request)
        channel = channels.get(host)
        if not channel or not _is_among(shown, channel.digests):
            is_others = any(_is_among(shown, other.digests) for other in channels.values())
            raise self._refuse_token(host, channel, OF_ANOTHER if is_others else WRONG, now)
        if channel.has_agent(now):
            raise _Refused(HTTPStatus.CONFLICT, say("An agent of this host has called already, and is there."))
        return channel, shown

    def _refuse_token(self, host: str, channel: CalledChannel | None, reason: str, now: float) -> "_Refused":
        """Tell those who look after the gateway, but not of each of very many."""
        if not self._wrong.take(now):
            self._untold += 1
            return _Refused(HTTPStatus.TOO_MANY_REQUESTS, say("There are too many calls with wrong tokens."))
        if channel:
            channel.note_refusal(reason)
        more = f" {self._untold} more were not told." if self._untold else ""
        print(f"{host[:100]!a}: {reason}{more}", file=sys.stderr, flush=True)
        self._untold = 0
        if reason == OF_ANOTHER:
            return _Refused(HTTPStatus.FORBIDDEN, say("The token is that of another host."))
        return _Refused(HTTPStatus.UNAUTHORIZED, say("The token is not valid for this host."))


class _Refused(Exception):
    """The caller is not let in."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


def _digest_shown(request: Request) -> str:
    """Return the digest of the token that was shown, whatever it is."""
    shown = request.headers.get_all("Authorization")
    found = _BEARER.fullmatch(shown[0]) if len(shown) == 1 else None
    return digest_token(found[1]) if found else ""


def _is_among(shown: str, digests: Set[str]) -> bool:
    return bool([known for known in digests if hmac.compare_digest(known, shown)])
