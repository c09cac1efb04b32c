"""Wallclocks as Autosubmit writes them."""


def parse_wallclock(text: str) -> int | None:
    """Return the seconds of a wallclock, `hh:mm` or `hh:mm:ss`; None if it has none."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        return None
    hours, minutes, seconds = map(int, [*parts, "0"][:3])
    return 3600 * hours + 60 * minutes + seconds or None


UNTOLD_SECONDS = 24 * 3600
"""What Autosubmit takes where the section tells none: a day, or the longest that the platform allows."""


def find_told_wallclock(text: str, processors: str) -> int | None:
    """Return the seconds of a wallclock that somebody chose for a section; None if it has none.

    A job of one processor that may run for a day has what Autosubmit took.
    """
    seconds = parse_wallclock(text)
    is_untold = seconds is not None and seconds >= UNTOLD_SECONDS and processors in ("", "0", "1")
    return None if is_untold else seconds
