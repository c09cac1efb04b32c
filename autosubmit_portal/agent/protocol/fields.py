"""Taking what is needed out of a message, of the type that it must have."""

import re
from typing import Any

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.protocol.versions import Version

_MOST_CHARACTERS = 500
_EXPID = re.compile(r"[A-Za-z0-9]{4,50}")
_MOST_VERSION = 1_000


def take_text(message: Message, name: str, *, most: int = _MOST_CHARACTERS) -> str:
    """Return a text of at most `most` characters."""
    value = message.get(name)
    if not isinstance(value, str) or len(value) > most:
        raise ProtocolError(f"“{name}” must be a text of at most {most} characters")
    return value


def take_number(message: Message, name: str, *, least: int = 0, most: int = 2**63 - 1) -> int:
    """Return a whole number."""
    value: Any = message.get(name)
    if not _is_whole(value) or not least <= value <= most:
        raise ProtocolError(f"“{name}” must be a whole number from {least} to {most}")
    return int(value)


def take_flag(message: Message, name: str) -> bool:
    """Return true or false."""
    value = message.get(name)
    if not isinstance(value, bool):
        raise ProtocolError(f"“{name}” must be true or false")
    return value


def take_expid(message: Message, name: str) -> str:
    """Return the name of an experiment, in which nothing can be a part of a path or an option."""
    expid = take_text(message, name)
    if not _EXPID.fullmatch(expid):
        raise ProtocolError(f"“{name}” must be the name of an experiment")
    return expid


def take_object(message: Message, name: str) -> Message:
    """Return an object."""
    value = message.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"“{name}” must be an object")
    return value


def take_objects(message: Message, name: str) -> list[Message]:
    """Return a list of objects."""
    value = message.get(name)
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise ProtocolError(f"“{name}” must be a list of objects")
    return value


def take_texts(message: Message, name: str) -> list[str]:
    """Return a list of texts."""
    value = message.get(name)
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ProtocolError(f"“{name}” must be a list of texts")
    return value


def refuse_others(message: Message, *names: str) -> None:
    """Refuse a message that has more than these: what is not understood may have been meant."""
    unknown = message.keys() - set(names)
    if unknown:
        raise ProtocolError(f"{min(unknown)!a} is unknown")


def take_version(message: Message, name: str) -> Version:
    """Return a version, which is two numbers."""
    value = message.get(name)
    if not isinstance(value, list) or len(value) != 2 or not all(_is_version_number(part) for part in value):
        raise ProtocolError(f"“{name}” must be two numbers")
    return value[0], value[1]


def _is_version_number(value: Any) -> bool:
    return _is_whole(value) and 0 <= value <= _MOST_VERSION


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
