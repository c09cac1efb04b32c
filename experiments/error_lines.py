"""Which lines of an output tell of an error: those with words that all programs use, and that a catalogue knows."""

import re
from collections.abc import Sequence

from experiments.shell_echo import is_echo_like

_WORDS = re.compile(
    r"(?<![\w./-])(?:(?:[\w.]*(?:Error|Exception)|error|[Ff]atal(?: error)?)(?=:|\s*$)|ERROR\b|FATAL\b|CRITICAL\b)"
)
_MILDER = re.compile(r"\s*\[?(?:DEBUG|INFO|WARNING)\b")
_EXIT = re.compile(r"\++ exit [1-9]\d{0,2}\s*$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def tells_error(line: str, known: Sequence[str]) -> bool:
    """Answer whether a line tells of an error: what the shell echoes does where a script ends with a code other than 0.

    `known` are texts in lower case that do.
    """
    plain = _COLOUR.sub("", line)
    if is_echo_like(plain):
        return _EXIT.match(plain) is not None
    if _MILDER.match(plain):
        return False
    lowered = plain.lower()
    return any(text in lowered for text in known) or _WORDS.search(plain) is not None
