"""Whoever calls a gateway over WebSocket, byte by byte, as a library would not."""

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from autosubmit_portal.agent.protocol import Server
from autosubmit_portal.gateway.channels import digest_token
from tests.gateway.gateways import RunningGateway
from tests.support.waiting import PATIENCE, wait_for

TOKEN, OTHER_TOKEN = token_urlsafe(32), token_urlsafe(32)
HOSTS: dict[str, dict[str, Any]] = {
    "here": {"channel": "websocket", "tokens": [digest_token(TOKEN)]},
    "there": {"channel": "websocket", "tokens": [digest_token(OTHER_TOKEN)]},
}
HEAD = {
    "Host": "portal.example.org",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
BEARER = f"Bearer {TOKEN}"


@dataclass
class Call:
    """A connection, and the status of its answer."""

    socket: socket.socket
    status: int


def is_closed(connected: socket.socket) -> bool:
    """Read until the other side has closed the connection."""
    with suppress(ConnectionResetError):
        while connected.recv(1 << 16):
            pass
    return True


def make_head(path: str = "/x/agent/here", **changes: str) -> bytes:
    """Return the head of a request, with other headers or without those that are blank."""
    headers = HEAD | {"Authorization": BEARER} | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value]
    return f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


def make_frame(payload: bytes, first: int = 0x82) -> bytes:
    """Return a frame of a client; its mask is there and changes nothing."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([first]) + length + bytes(4) + payload


@dataclass
class Callers:
    """Whoever calls a gateway that listens there; all are gone at the end."""

    listen: str
    sockets: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """Connect to the gateway and say nothing."""
        host, _, port = self.listen.rpartition(":")
        self.sockets.append(socket.create_connection((host, int(port)), PATIENCE))
        return self.sockets[-1]

    def call(self, path: str = "/x/agent/here", **changes: str) -> Call:
        """Ask to be let in."""
        return self.send(make_head(path, **changes))

    def send(self, head: bytes) -> Call:
        """Send a head, and return what came of it; the status is 0 for nothing."""
        connected, answer = self.connect(), b""
        with suppress(ConnectionError):
            connected.sendall(head)
            while b"\r\n\r\n" not in answer and (piece := connected.recv(1 << 16)):
                answer += piece
        return Call(connected, int(answer.split(b" ")[1]) if answer else 0)

    def become_agent(self, made: RunningGateway) -> socket.socket:
        """Be let in, and say hello."""
        agent = wait_for(self.call, is_enough=lambda made: made.status == 101)
        agent.socket.sendall(make_frame(Server({}, 0).take_bytes()))
        made.wait_for_host()
        return agent.socket

    def close(self) -> None:
        """Let all leave."""
        while self.sockets:
            self.sockets.pop().close()
