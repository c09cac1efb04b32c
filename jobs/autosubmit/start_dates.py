"""Start dates of an experiment, as Autosubmit and people write them: a day, an hour of it, or a minute.

Autosubmit 4.1.17 names jobs by `20000101`, `2000010112` or `200001011230`, whichever tells all start dates apart.
"""

import re
from datetime import datetime, timedelta

from autosubmit_portal.sentences import say
from jobs.autosubmit.values import UTC

EXPECTED = say("YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHMM")

_WRITTEN = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)(?:T?(\d\d)(?::?(\d\d))?)?", re.ASCII)
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


def format_start_date(date: datetime) -> str:
    """Return a date in the form of the names of jobs, as short as it can be."""
    form = "%Y%m%d%H%M" if date.minute else "%Y%m%d%H" if date.hour else "%Y%m%d"
    return date.strftime(form)
