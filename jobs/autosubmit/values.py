"""Convert single values of a store, which may be anything, to text and numbers that every database takes."""

from datetime import datetime, timezone
from sys import intern

UTC = timezone.utc
LONGEST_TEXT = 1000
LARGEST_NUMBER = 2**31 - 1  # of an integer column
LARGEST_ID = 2**63 - 1  # of a bigint column
YEAR_9999 = 253_402_300_799


def to_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text or a number as text of at most `longest` characters; an empty text for all else.

    Other values are not converted: nested lists could become endless texts. Lone surrogates and NUL, which UTF-8 or
    PostgreSQL refuse, are replaced.
    """
    if type(value) is str and len(value) <= longest and value.isascii() and "\0" not in value:
        return value  # nearly always; the rest is for the others
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    try:
        plain = str(value)[:longest]
    except ValueError:  # a number of more digits than Python writes
        return ""
    if plain.isascii() and "\0" not in plain:
        return plain
    return plain.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def to_word(value: object) -> str:
    """Return the same for a text that many jobs share, such as a section, as one object for all of them."""
    return intern(to_text(value))


def to_number(value: object, largest: int = LARGEST_NUMBER) -> int:
    """Return a whole number, given as number or text; 0 for all else and for one beyond `largest`."""
    if not isinstance(value, str | int | float):
        return 0
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        return 0
    return whole if abs(whole) <= largest else 0


def to_count(value: object) -> int:
    """Return a number, but 0 for a negative one."""
    return max(0, to_number(value))


def to_identifier(value: object) -> int | None:
    """Return the number that a platform gave a job; None for 0, by which Autosubmit says that it has none yet."""
    return to_number(value, LARGEST_ID) or None


def to_moment(seconds: float) -> datetime:
    """Return a number of seconds since 1970 as a moment; the first or the last one there is for what is beyond."""
    return datetime.fromtimestamp(min(max(0.0, seconds), YEAR_9999), UTC)
