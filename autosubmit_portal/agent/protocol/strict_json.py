"""JSON that can do no harm: what is too deep, too many, twice there or no text is refused."""

import json
import math
import re
from typing import Any

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.limits import (
    MOST_DEPTH,
    MOST_DIGITS,
    MOST_DOCUMENT_BYTES,
    MOST_DOCUMENT_DEPTH,
    MOST_DOCUMENT_DIGITS,
    MOST_DOCUMENT_THINGS,
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
    _measure(data, MOST_MESSAGE_BYTES, MOST_THINGS, MOST_DEPTH)
    return _decode(data, _MESSAGES)


def decode_document(data: bytes) -> Message:
    """Return the same of what was sent as bytes: that may be longer and deeper than a message."""
    _measure(data, MOST_DOCUMENT_BYTES, MOST_DOCUMENT_THINGS, MOST_DOCUMENT_DEPTH)
    return _decode(data, _DOCUMENTS)


def _decode(data: bytes, decoder: json.JSONDecoder) -> Message:
    try:
        message = decoder.decode(data.decode())
    except ProtocolError:
        raise
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {ascii(str(error))[:200]}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message that is no object")
    if b"\\u" in data:
        _refuse_bad_text(message)
    return message


def _measure(data: bytes, most_bytes: int, most_things: int, most_depth: int) -> None:
    """Refuse what would become too many objects, before any of them is made."""
    if len(data) > most_bytes:
        raise ProtocolError(f"a message of {len(data)} bytes; at most {most_bytes} are taken")
    opened = data.count(b"[") + data.count(b"{")
    if opened <= most_depth and opened + data.count(b",") <= most_things:
        return  # wherever these stand
    outside_strings = _STRING.sub(b"", data)
    things = sum(outside_strings.count(mark) for mark in (b",", b"[", b"{"))
    if things > most_things:
        raise ProtocolError(f"a message of {things} things; at most {most_things} are taken")
    depth = 0
    for bracket in _BRACKET.findall(outside_strings):
        depth += 1 if bracket in b"[{" else -1
        if depth > most_depth:
            raise ProtocolError(f"a message deeper than {most_depth}")


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


def _make_long_integer(digits: str) -> int:
    if len(digits) > MOST_DOCUMENT_DIGITS:
        raise ProtocolError("a whole number of too many digits")
    return int(digits)


def _make_float(text: str) -> float:
    if len(text) > MOST_FLOAT_CHARACTERS or not math.isfinite(number := float(text)):
        raise ProtocolError("a number that is too large or too long")
    return number


def _refuse_constant(name: str) -> object:
    raise ProtocolError(f"{name}, which is no JSON")


_MESSAGES, _DOCUMENTS = (
    json.JSONDecoder(
        object_pairs_hook=_make_object, parse_int=make_integer, parse_float=_make_float, parse_constant=_refuse_constant
    )
    for make_integer in (_make_integer, _make_long_integer)
)
