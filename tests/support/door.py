"""A door to a host: `python door.py SOCKET COMMAND…` starts the command for whoever knocks, on their descriptors.

It stands for sshd where hosts are namespaces on one file system, and imports nothing of the portal.
"""

import os
import socket
import subprocess
import sys
import threading

# How to knock: `python -c KNOCK SOCKET` lasts as long as the command that it is let in to.
KNOCK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as knock:
    knock.connect(sys.argv[1])
    socket.send_fds(knock, [b"."], [0, 1, 2])
    knock.recv(1)
"""


def main(place: str, *command: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{place}.new")
        listener.listen()
        os.rename(f"{place}.new", place)  # who sees it may knock at once
        while True:
            visitor, _ = listener.accept()
            threading.Thread(target=let_in, args=(visitor, command), daemon=True).start()


def let_in(visitor: socket.socket, command: tuple[str, ...]) -> None:
    with visitor:
        _, descriptors, _, _ = socket.recv_fds(visitor, 1, 3)
        stdin, stdout, stderr = descriptors
        with subprocess.Popen(command, cwd="/", stdin=stdin, stdout=stdout, stderr=stderr):
            for descriptor in descriptors:
                os.close(descriptor)


if __name__ == "__main__":
    main(*sys.argv[1:])
