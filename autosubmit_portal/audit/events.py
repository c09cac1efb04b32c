"""Which entries of the trail are meant, found fast among millions: by a pattern of their values, or by their time."""

import re
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.distinct import distinct_values

MOST_FEW = 10_000


def entries_like(entries: QuerySet[AuditEntry], column: str, text: str) -> QuerySet[AuditEntry]:
    """Return the entries whose `column` matches, where `*` stands for anything and a leading `!` negates.

    Upper and lower case are alike. An index finds entries by values, but none by a part of one: the values come first,
    by leaps through it.
    """
    condition = {f"{column}__in": _values_like(column, text)}
    few = _found_by_key(entries, condition)
    return entries.filter(**condition) if few is None else few


def entries_between(
    entries: QuerySet[AuditEntry], since: datetime | None, until: datetime | None
) -> QuerySet[AuditEntry]:
    """Return the entries since a time and before another; None is no limit.

    Many are met soon on the way back from the newest entry; an index by time would have all of them sorted.
    """
    limits = {"gte": since, "lt": until}
    condition = {f"at__{lookup}": time for lookup, time in limits.items() if time is not None}
    few = _found_by_key(entries, condition)
    if few is not None:
        return few
    unindexed = {f"moment__{lookup}": time for lookup, time in limits.items() if time is not None}
    return entries.alias(moment=Coalesce("at", "at")).filter(**unindexed)


def _found_by_key(entries: QuerySet[AuditEntry], condition: dict[str, Any]) -> QuerySet[AuditEntry] | None:
    """Return the entries by their keys if they are few, which SQLite does not know; None if they are many."""
    matching = AuditEntry.objects.filter(**condition).order_by().values("pk")
    is_few = matching[: MOST_FEW + 1].count() <= MOST_FEW
    return entries.filter(pk__in=matching) if is_few else None


def _values_like(column: str, text: str) -> list[str]:
    pattern = re.sub(r"([?\[])", r"[\1]", text.removeprefix("!")).upper()
    is_wanted = not text.startswith("!")
    values = distinct_values(AuditEntry, column)
    return [value for value in values if fnmatchcase(value.upper(), pattern) is is_wanted]
