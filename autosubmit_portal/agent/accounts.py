"""Other Unix accounts: what may run as them, and signals to their processes."""

import os
import pwd
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from autosubmit_portal.sentences import say

# By their full names, as sudoers has them.
SUDO, KILL, ENV = "/usr/bin/sudo", "/usr/bin/kill", "/usr/bin/env"
# It answers at once or hangs on a directory service.
SUDO_SECONDS = 10.0
_MOST_TOLD = 300

NAME = re.compile(r"[a-z_][a-z0-9_-]*")
SUPERUSER = 0
# The account that stands for nobody, and what some systems call -2 and -1.
_NOBODIES = (65534, 2**32 - 2, 2**32 - 1)
_LOGIN_DEFINITIONS, _USUAL_LEAST_UID = Path("/etc/login.defs"), 1000
# What a person's commands keep of the variables of their profile. sudo sets SUDO_USER itself, to who starts them.
_KEPT = re.compile(r"AUTOSUBMIT_CONFIGURATION|AS_ENV_\w+|SSH_AUTH_SOCK")
_UID_MIN = re.compile(r"^\s*UID_MIN\s+(\d+)", re.MULTILINE)


def explain_unusable(name: str) -> str:
    """Return why no command may run as this account; blank if it may."""
    if not NAME.fullmatch(name):
        return say("“{name}” cannot be a Unix account: a-z, 0-9, `_` and `-`, not beginning with a digit.", name=name)
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return say("This host has no Unix account “{name}”.", name=name)
    if uid == SUPERUSER:
        return say("“{name}” is the superuser, as whom nothing is ever run.", name=name)
    if uid == os.getuid():
        return say("“{name}” is the account of the portal itself, which may become others.", name=name)
    if uid < _read_least_uid() or uid in _NOBODIES:
        return say(
            "“{name}” is an account of the system (number {uid}), not of a person or a project.", name=name, uid=uid
        )
    return ""


def wrap_as_account(account: str, argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the argv that runs `argv` as another Unix account.

    sudo makes a fresh environment and keeps only what Autosubmit and its SSH client read. It starts at the root of the
    file system, because the account may not see the run directory. Raises PermissionError for what is no account of
    this host, and for root, which no request may become: for sudo `#0` is a name too.
    """
    reason = explain_unusable(account)
    if reason:
        raise PermissionError(reason)
    kept = ",".join(sorted(filter(_KEPT.fullmatch, environment)))
    return [ENV, "--chdir=/", SUDO, "-n", "-H", "-u", account, f"--preserve-env={kept}", "--", *argv]


def explain_sudo(name: str, programs: Sequence[str]) -> str:
    """Return which of these programs sudo does not let us run as an account without a password; blank for none."""
    refused = [program for program in programs if not _is_allowed([SUDO, "-n", "-u", name, "-l", "--", program])]
    if not refused:
        return ""
    who, programs = get_name(os.getuid()), " and ".join(refused)
    return say("sudo does not let {who} run {programs} as “{name}”.", who=who, programs=programs, name=name)


def _is_allowed(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=SUDO_SECONDS)
        return not done.returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def get_name(uid: int) -> str:
    """Return the name of a uid on this host; without a name, the number as text."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def is_own(account: str) -> bool:
    """Answer whether this is the account that this process runs as; two names of one number are the same account."""
    try:
        return pwd.getpwnam(account).pw_uid == os.getuid() != SUPERUSER
    except (KeyError, ValueError):
        return False


def send_signal(number: signal.Signals, target: int, account: str) -> None:
    """Signal a process or, with a negative number, a process group, as an account; blank is our own.

    As another account only that account's processes of a group are signalled: the launcher, which is ours, goes on to
    write the exit status. Raises PermissionError when sudo refuses, as when the account has been removed, and
    TimeoutError when it does not answer.
    """
    if not account:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(target, number)
        return
    name = number.name.removeprefix("SIG")
    command = [SUDO, "-n", "-u", account, "--", KILL, f"-{name}", "--", str(target)]
    try:
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=SUDO_SECONDS, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(say("sudo does not answer within {seconds} s", seconds=f"{SUDO_SECONDS:.0f}")) from error
    # What `kill` itself says is that the process has just ended.
    if done.returncode and not done.stderr.startswith("kill:"):
        raise PermissionError(
            say(
                "no signal can be sent as {account}: {error}",
                account=ascii(account),
                error=done.stderr.strip()[:_MOST_TOLD],
            )
        )


@lru_cache(maxsize=1)
def _read_least_uid() -> int:
    """Return the least uid of people, UID_MIN of /etc/login.defs."""
    try:
        found = _UID_MIN.search(_LOGIN_DEFINITIONS.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return int(found[1]) if found else _USUAL_LEAST_UID
