"""Signals to processes of other Unix accounts."""

import os
import signal
import subprocess
from contextlib import suppress

# By their full names, as sudoers has them.
SUDO, KILL = "/usr/bin/sudo", "/usr/bin/kill"
# It answers at once or hangs on a directory service.
SUDO_SECONDS = 10.0


def send_signal(number: signal.Signals, target: int, account: str) -> None:
    """Signal a process or, with a negative number, a process group, as an account; blank is our own.

    As another account only that account's processes of a group are signalled: the launcher, which is ours, goes on to
    write the exit status.
    """
    if not account:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(target, number)
        return
    name = number.name.removeprefix("SIG")
    command = [SUDO, "-n", "-u", account, "--", KILL, f"-{name}", "--", str(target)]
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=SUDO_SECONDS)
