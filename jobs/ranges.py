"""Numbers and dates as people choose jobs by them: several, and ranges of them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from autosubmit_portal.sentences import say
from jobs.autosubmit.start_dates import Period, parse_period

MOST = 500
"""So many parts may be told apart by commas: a database takes a condition of so many."""

_RANGE = re.compile(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", re.ASCII)


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """Return the first and the last number of each part of a text such as `3-7,12`; raise ValueError."""
    found = [_RANGE.fullmatch(part) for part in _split(text)]
    pairs = [(int(one[1]), int(one[2] or one[1])) for one in found if one]
    if len(pairs) < len(found):
        raise ValueError(say("Write numbers and ranges, separated by commas, such as 1,4-6."))
    return pairs


def parse_periods(text: str) -> list[Period]:
    """Return the periods that a text means, such as `20000101,20000201-20001201`; raise ValueError."""
    return [_parse_part(part) for part in _split(text)]


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MOST:
        raise ValueError(say("These are more than {most}. Choose fewer, or a range.", most=MOST))
    return parts


def _parse_part(part: str) -> Period:
    """Return the period of a date, or from one date to the end of another: either may have hyphens of its own."""
    for found in re.finditer("-", part):
        try:
            (first, _), (_, last) = parse_period(part[: found.start()]), parse_period(part[found.end() :])
        except ValueError:
            continue
        return first, last
    try:
        return parse_period(part)
    except ValueError as error:
        raise ValueError(
            say("{error} A range is two of them with a hyphen: 20000101-20001201.", error=error)
        ) from error


def match_ranges(column: str, ranges: Iterable[tuple[Any, Any]]) -> Q:
    """Return the condition that a column lies in one of the ranges, both ends included."""
    together = Q(pk__in=[])
    for ends in ranges:
        together |= Q((f"{column}__range", ends))
    return together


def match_any(column: str, values: Sequence[Any]) -> Q:
    """Return the condition that a column has one of the values; `=` for one, for its index."""
    return Q((column, values[0])) if len(values) == 1 else Q((f"{column}__in", values))
