"""Unix accounts of this host: a name is what people write, the number (uid) is who it is."""

import pwd
import re

from autosubmit_portal.lately import lately

NAME = re.compile(r"[a-z_][a-z0-9_-]*")
SUPERUSER = 0


def uid_of(name: str) -> int | None:
    """Return the number of an account; None for a text that names none and for the superuser, who is nobody here.

    Two names of one number are the same account.
    """
    try:
        uid = pwd.getpwnam(name).pw_uid if NAME.fullmatch(name) else SUPERUSER
    except KeyError:
        return None
    return None if uid == SUPERUSER else uid


@lately
def name_of(uid: int) -> str:
    """Return what the host calls a number; the number itself as text where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def why_unusable(name: str) -> str:
    """Say why nothing may run as the account of this name, and what to do; blank if it may."""
    remedy = "Correct it under “Accounts at sites”."
    if not NAME.fullmatch(name):
        return (
            f"“{name}” cannot be a Unix account: a-z, 0-9, `_` and `-`, not beginning with a digit. {remedy}"
        )
    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        return f"This host has no Unix account “{name}”. {remedy}"
    return f"“{name}” is the superuser, as whom nothing is ever run. {remedy}" if uid == SUPERUSER else ""
