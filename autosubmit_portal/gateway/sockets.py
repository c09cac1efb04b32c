"""Unix sockets in folders whose paths may be longer than the 107 bytes that the address of a socket has."""

import os
import socket
from pathlib import Path

_MOST_PENDING = 64


def connect(place: Path, seconds: float) -> socket.socket:
    """Return a connection to who listens at a place. Raises OSError."""
    connected = socket.socket(socket.AF_UNIX)
    folder = -1
    try:
        folder = os.open(place.parent, os.O_PATH)
        connected.settimeout(seconds)
        connected.connect(f"/proc/self/fd/{folder}/{place.name}")
    except BaseException:
        connected.close()
        raise
    finally:
        if folder >= 0:
            os.close(folder)
    return connected


def listen(place: Path) -> socket.socket:
    """Listen at a place, for its owner and its group, instead of whoever has listened there before. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX)
    new = place.with_name(f".{place.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    folder = os.open(place.parent, os.O_PATH)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{new.name}")
    finally:
        os.close(folder)
    new.chmod(0o660)
    listener.listen(_MOST_PENDING)
    listener.setblocking(False)
    new.replace(place)
    return listener


def listen_at(address: str) -> socket.socket:
    """Listen at HOST:PORT, or at the path of a Unix socket. Raises OSError."""
    if address.startswith("/"):
        return listen(Path(address))
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    listener = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_MOST_PENDING)
    listener.setblocking(False)
    return listener
