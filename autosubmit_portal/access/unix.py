"""Unix accounts of this host: people write names, accounts are compared by their number (uid)."""

import pwd

from cachetools.func import ttl_cache

from autosubmit_portal.agent import accounts
from autosubmit_portal.agent.accounts import NAME, SUPERUSER
from autosubmit_portal.sentences import add, say


def get_uid(name: str) -> int | None:
    """Return the uid of an account; None for unknown names, and for root, which is never an owner here.

    Two names with one uid are the same account.
    """
    try:
        uid = pwd.getpwnam(name).pw_uid if NAME.fullmatch(name) else SUPERUSER
    except KeyError:
        return None
    return None if uid == SUPERUSER else uid


def is_superuser(name: str) -> bool:
    """Return whether this is a name of root."""
    try:
        return bool(NAME.fullmatch(name)) and pwd.getpwnam(name).pw_uid == SUPERUSER
    except KeyError:
        return False


@ttl_cache(maxsize=1000, ttl=1)  # a directory of accounts may be far away, and a pass of the mirror asks for thousands
def get_name(uid: int) -> str:
    """Return the name of a uid on this host; without a name, the number as text."""
    return accounts.get_name(uid)


def explain_unusable(name: str) -> str:
    """Return why no command may run as this account, and what to do; blank if it may."""
    reason = accounts.explain_unusable(name)
    if not reason:
        return ""
    is_unknown = NAME.fullmatch(name) and not _is_known(name)
    how = say("The host of the portal needs the accounts of the site, with the same numbers.") if is_unknown else ""
    return add(reason, add(how, say("Correct it under “Accounts at sites”.")))


def _is_known(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False
