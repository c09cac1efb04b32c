"""The link to a site: `python link.py CUT COMMAND…` runs the command of a channel and passes its bytes on, and
`python link.py CUT --tcp LISTEN TARGET` those of whoever connects to an address.

It imports nothing of the portal. While there is a file CUT nothing arrives, as when a network does not pass on any
more; while it says `answers`, requests still do. What was on its way arrives when the file is gone. Neither side
hears of the cut.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

CUT = Path(sys.argv[1])


def main() -> int:
    if sys.argv[2] == "--tcp":
        forward(*map(split, sys.argv[3:]))
    with subprocess.Popen(sys.argv[2:], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        assert command.stdin
        assert command.stdout
        ends = (0, command.stdin.fileno(), ("",))
        threading.Thread(target=carry, args=ends, daemon=True).start()
        carry(command.stdout.fileno(), 1, ("", "answers"))
    return command.returncode


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def forward(listen: tuple[str, int], target: tuple[str, int]) -> NoReturn:
    with socket.create_server(listen) as server:
        while True:
            threading.Thread(target=pass_on, args=(server.accept()[0], target), daemon=True).start()


def pass_on(caller: socket.socket, target: tuple[str, int]) -> None:
    """Pass on what both sides say; requests come from the gateway, which is the target."""
    with caller, suppress(OSError), socket.create_connection(target) as gateway:
        asking = threading.Thread(target=carry_tcp, args=(gateway, caller, ("",)), daemon=True)
        asking.start()
        carry_tcp(caller, gateway, ("", "answers"))
        asking.join()


def carry_tcp(source: socket.socket, sink: socket.socket, cuts: tuple[str, ...]) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            wait(cuts)
            sink.sendall(data)
        wait(cuts)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def carry(source: int, sink: int, cuts: tuple[str, ...]) -> None:
    """Pass on what comes until no more does."""
    while data := os.read(source, 1 << 16):
        wait(cuts)
        while data:
            data = data[os.write(sink, data) :]
    wait(cuts)
    os.close(sink)


def wait(cuts: tuple[str, ...]) -> None:
    while is_cut(cuts):
        time.sleep(0.02)


def is_cut(cuts: tuple[str, ...]) -> bool:
    try:
        return CUT.read_text() in cuts
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    # At once: the other thread may wait for input that never comes.
    try:
        status = main()
    except OSError:
        status = 1
    os._exit(status)
