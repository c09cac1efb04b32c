"""Which events the trail holds: a few dozen names, found by leaps through their index."""

import re
from fnmatch import fnmatchcase

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.distinct import distinct_values


def events_like(text: str) -> list[str]:
    """Return the names of events in the trail that match, where `*` stands for anything and a leading `!` negates.

    An index finds entries by names, but none by a part of one. Upper and lower case are alike.
    """
    pattern = re.sub(r"([?\[])", r"[\1]", text.removeprefix("!")).upper()
    is_wanted = not text.startswith("!")
    names = distinct_values(AuditEntry, "event")
    return [name for name in names if fnmatchcase(name.upper(), pattern) is is_wanted]
