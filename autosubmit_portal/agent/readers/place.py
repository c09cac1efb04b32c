"""What a reading is asked of, and how it answers."""

import json
from collections.abc import Callable
from configparser import RawConfigParser
from dataclasses import dataclass
from typing import Any

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.memory import Memory
from experiments.autosubmit.store import Store
from jobs.autosubmit.job_list import Decode

Answer = tuple[Message, bytes]
"""A short message, and what may be long."""


@dataclass(frozen=True, slots=True)
class Means:
    """What one reads with: `allow` allows the memory and the time that so many bytes of files take."""

    memory: Memory
    decode: Decode
    allow: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Place:
    """An experiment of a store, and the file of its Autosubmit."""

    store: Store
    rc: RawConfigParser
    expid: str
    means: Means


def make_document(value: Message) -> bytes:
    """Return JSON without NUL."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\\u0000" in text:  # which no database and no message takes
        text = json.dumps(_replace_nul(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _replace_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "�")
    if isinstance(value, dict):
        return {_replace_nul(key): _replace_nul(inner) for key, inner in value.items()}
    return [_replace_nul(inner) for inner in value] if isinstance(value, list) else value
