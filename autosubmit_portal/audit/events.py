"""Which entries of the trail have an event, or came in with a credential, that matches a text."""

import re
from fnmatch import fnmatchcase

from django.db.models import QuerySet

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.distinct import distinct_values

MOST_FEW = 10_000


def entries_like(entries: QuerySet[AuditEntry], column: str, text: str) -> QuerySet[AuditEntry]:
    """Return the entries whose `column` matches, where `*` stands for anything and a leading `!` negates.

    Upper and lower case are alike. An index finds entries by values, but none by a part of one: the values come first,
    by leaps through it. Few entries are found by their keys: SQLite does not know that they are few.
    """
    condition = {f"{column}__in": _values_like(column, text)}
    matching = AuditEntry.objects.filter(**condition).order_by().values("pk")
    is_few = matching[: MOST_FEW + 1].count() <= MOST_FEW
    return entries.filter(pk__in=matching) if is_few else entries.filter(**condition)


def _values_like(column: str, text: str) -> list[str]:
    pattern = re.sub(r"([?\[])", r"[\1]", text.removeprefix("!")).upper()
    is_wanted = not text.startswith("!")
    values = distinct_values(AuditEntry, column)
    return [value for value in values if fnmatchcase(value.upper(), pattern) is is_wanted]
