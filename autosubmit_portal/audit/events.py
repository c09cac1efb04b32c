"""Filters of the trail that stay fast with millions of entries: by a pattern of a column, or by time."""

import re
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.distinct import list_distinct

MOST_FEW = 10_000


def filter_like(entries: QuerySet[AuditEntry], column: str, text: str) -> QuerySet[AuditEntry]:
    """Return the entries whose `column` matches `text`: `*` is any text, a leading `!` negates, case is ignored.

    An index finds a value but no part of one. So the distinct values are read first, and matched here.
    """
    condition = {f"{column}__in": _find_values(column, text)}
    few = _filter_by_key(entries, condition)
    return entries.filter(**condition) if few is None else few


def filter_between(
    entries: QuerySet[AuditEntry], since: datetime | None, until: datetime | None
) -> QuerySet[AuditEntry]:
    """Return the entries from `since` on and before `until`; None is no limit.

    Few entries are found by the index of times. For many, that index would sort all of them: it is faster to walk back
    from the newest entry.
    """
    limits = {"gte": since, "lt": until}
    condition = {f"at__{lookup}": time for lookup, time in limits.items() if time is not None}
    few = _filter_by_key(entries, condition)
    if few is not None:
        return few
    unindexed = {f"moment__{lookup}": time for lookup, time in limits.items() if time is not None}
    return entries.alias(moment=Coalesce("at", "at")).filter(**unindexed)


def _filter_by_key(entries: QuerySet[AuditEntry], condition: dict[str, Any]) -> QuerySet[AuditEntry] | None:
    """Return the entries by their keys if they are few, else None. SQLite cannot estimate that by itself."""
    matching = AuditEntry.objects.filter(**condition).order_by().values("pk")
    is_few = matching[: MOST_FEW + 1].count() <= MOST_FEW
    return entries.filter(pk__in=matching) if is_few else None


def _find_values(column: str, text: str) -> list[str]:
    pattern = re.sub(r"([?\[])", r"[\1]", text.removeprefix("!")).upper()
    is_wanted = not text.startswith("!")
    values = list_distinct(AuditEntry, column)
    return [value for value in values if fnmatchcase(value.upper(), pattern) is is_wanted]
