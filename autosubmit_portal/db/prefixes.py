"""Rows whose text begins with another, found by the index of the column on any database.

LIKE uses an index on neither SQLite nor a PostgreSQL with a language of its own; a range does, and what is in it is
compared.
"""

from django.db.models import Q

_NEXT = dict(zip("012345678abcdefghijklmnopqrstuvwxyABCDEFGHIJKLMNOPQRSTUVWXY",
                 "123456789bcdefghijklmnopqrstuvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ", strict=True))  # fmt: skip


def make_prefix_condition(field: str, text: str) -> Q:
    """Return the condition that a field begins with a text, which is not empty."""
    begins = Q(**{f"{field}__startswith": text})
    if not text.isascii():
        return begins
    condition = begins & Q(**{f"{field}__gte": text})
    after = _find_next(text)
    return condition & Q(**{f"{field}__lt": after}) if after else condition


def _find_next(text: str) -> str:
    """Return a text that comes after all that begin with `text`, in the order of any language; blank if none does.

    Letters come after digits everywhere, but signs come before or after both.
    """
    kept = text.rstrip("9zZ")
    return f"{kept[:-1]}{_NEXT[kept[-1]]}" if kept and kept[-1] in _NEXT else ""
