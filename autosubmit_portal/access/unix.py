"""Unix accounts of this host: people write names, accounts are compared by their number (uid)."""

import os
import pwd
import re
from functools import cache
from pathlib import Path

from cachetools.func import ttl_cache

NAME = re.compile(r"[a-z_][a-z0-9_-]*")
SUPERUSER = 0
# The account that stands for nobody, and what some systems call -2 and -1.
_NOBODIES = (65534, 2**32 - 2, 2**32 - 1)
_LOGIN_DEFINITIONS, _USUAL_LEAST_UID = Path("/etc/login.defs"), 1000
_UID_MIN = re.compile(r"^\s*UID_MIN\s+(\d+)", re.MULTILINE)


def get_uid(name: str) -> int | None:
    """Return the uid of an account; None for unknown names, and for root, which is never an owner here.

    Two names with one uid are the same account.
    """
    try:
        uid = pwd.getpwnam(name).pw_uid if NAME.fullmatch(name) else SUPERUSER
    except KeyError:
        return None
    return None if uid == SUPERUSER else uid


@ttl_cache(maxsize=1000, ttl=1)  # a directory of accounts may be far away, and a pass of the mirror asks for thousands
def get_name(uid: int) -> str:
    """Return the name of a uid on this host; without a name, the number as text."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def explain_unusable(name: str) -> str:
    """Return why no command may run as this account, and what to do; blank if it may."""
    remedy = "Correct it under “Accounts at sites”."
    if not NAME.fullmatch(name):
        return f"“{name}” cannot be a Unix account: a-z, 0-9, `_` and `-`, not beginning with a digit. {remedy}"
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return f"This host has no Unix account “{name}”. {remedy}"
    if uid == SUPERUSER:
        return f"“{name}” is the superuser, as whom nothing is ever run. {remedy}"
    if uid == os.getuid():
        return f"“{name}” is the account of the portal itself, which may become others. {remedy}"
    if uid < _read_least_uid() or uid in _NOBODIES:
        return f"“{name}” is an account of the system (number {uid}), not of a person or a project. {remedy}"
    return ""


@cache
def _read_least_uid() -> int:
    """Return the least uid of people, UID_MIN of /etc/login.defs."""
    try:
        found = _UID_MIN.search(_LOGIN_DEFINITIONS.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return int(found[1]) if found else _USUAL_LEAST_UID
