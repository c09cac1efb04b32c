"""Start dates of an experiment, as Autosubmit and people write them: a day, an hour of it, or a minute.

Autosubmit 4.1.17 names jobs by `20000101`, `2000010112` or `200001011230`, whichever tells all start dates apart.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from autosubmit_portal.sentences import say
from jobs.autosubmit.values import UTC

EXPECTED = say("YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHMM")

_WRITTEN = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)(?:T?(\d\d)(?::?(\d\d))?)?", re.ASCII)
_FORMS = ("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M")
_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

Period = tuple[datetime, datetime]


def parse_period(text: str) -> Period:
    """Return the first instant that a date means and the last: a day without an hour is all of it.

    Dates may have hyphens, a T before the hour and a colon before the minute, as in ISO 8601. Raises ValueError.
    """
    found = _WRITTEN.fullmatch(text)
    if not found:
        raise ValueError(say("“{text}” is no date: expected {expected}.", text=text, expected=EXPECTED))
    year, _, month, day, hour, minute = found.groups()
    try:
        start = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), tzinfo=UTC)
    except ValueError as error:
        raise ValueError(say("“{text}” is no date: {error}.", text=text, error=error)) from error
    length = _MINUTE if minute else _HOUR if hour else _DAY
    return start, start + (length - timedelta(microseconds=1))


def format_start_date(date: datetime, job_name: str = "") -> str:
    """Return a date in the form that the name of a job has it in; without such a name as short as it can be."""
    named = (text for text in map(date.strftime, _FORMS) if f"_{text}_" in f"{job_name}_")
    return next(named, None) or date.strftime(_choose_form([date]))


def format_alike(dates: Iterable[datetime]) -> list[str]:
    """Return the dates of an experiment in one form, that of the names of its jobs."""
    found = [*dates]
    form = _choose_form(found)
    return [date.strftime(form) for date in found]


def _choose_form(dates: Iterable[datetime]) -> str:
    """Return the shortest form that tells all of these dates."""
    return _FORMS[max((2 if date.minute else 1 if date.hour else 0 for date in dates), default=0)]
