"""JSON that can do no harm: what is too deep, too many, twice there or no text is refused."""

import json
import math
import re
from typing import Any

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.limits import (
    MOST_DEPTH,
    MOST_DIGITS,
    MOST_FLOAT_CHARACTERS,
    MOST_MESSAGE_BYTES,
    MOST_THINGS,
)

Message = dict[str, Any]

# The closing quote may be missing: then it is all the rest. So no text makes this pattern try again.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BAD_CHARACTER = re.compile("[\0\ud800-\udfff]")
_BRACKET = re.compile(rb"[\[\]{}]")


def encode(message: Message) -> bytes:
    """Return the JSON of a message; ProtocolError for one that the other side would refuse."""
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode()
    except ValueError as error:
        raise ProtocolError(f"cannot be sent as JSON: {str(error)!a}") from error
    decode(data)
    return data


def decode(data: bytes) -> Message:
    """Return the object that JSON holds; ProtocolError says why it is not taken."""
    if len(data) > MOST_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {len(data)} bytes; at most {MOST_MESSAGE_BYTES} are taken")
    _measure(data)
    try:
        message = _DECODER.decode(data.decode())
    except ProtocolError:
        raise
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {ascii(str(error))[:200]}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message that is no object")
    if b"\\u" in data:
        _refuse_bad_text(message)
    return message


def _measure(data: bytes) -> None:
    """Refuse what would become too many objects, before any of them is made."""
    outside_strings = _STRING.sub(b"", data)
    things = sum(outside_strings.count(mark) for mark in (b",", b"[", b"{"))
    if things > MOST_THINGS:
        raise ProtocolError(f"a message of {things} things; at most {MOST_THINGS} are taken")
    depth = 0
    for bracket in _BRACKET.findall(outside_strings):
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_DEPTH:
            raise ProtocolError(f"a message deeper than {MOST_DEPTH}")


def _refuse_bad_text(value: object) -> None:
    """Refuse what only an escape can bring into a text: NUL, and half of a pair of surrogates."""
    if isinstance(value, str):
        if _BAD_CHARACTER.search(value):
            raise ProtocolError("a text with NUL or with half a character")
    elif isinstance(value, list):
        for part in value:
            _refuse_bad_text(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            _refuse_bad_text(key)
            _refuse_bad_text(part)


def _make_object(pairs: list[tuple[str, object]]) -> Message:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ProtocolError("an object with the same key twice")
    return made


def _make_integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS or not -(2**63) <= (number := int(digits)) < 2**63:
        raise ProtocolError("a whole number of more than 64 bits")
    return number


def _make_float(text: str) -> float:
    if len(text) > MOST_FLOAT_CHARACTERS or not math.isfinite(number := float(text)):
        raise ProtocolError("a number that is too large or too long")
    return number


def _refuse_constant(name: str) -> object:
    raise ProtocolError(f"{name}, which is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_make_object, parse_int=_make_integer, parse_float=_make_float, parse_constant=_refuse_constant
)
