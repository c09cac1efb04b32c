"""What an examination of a host finds, as an agent tells it and a portal reads it."""

from dataclasses import dataclass
from enum import Enum

from autosubmit_portal.agent.protocol import ProtocolError, fields
from autosubmit_portal.agent.protocol.strict_json import Message

_MOST_TEXT = 1000
_MOST_FINDINGS = 100


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was examined, how it is, in a text for people, and what to do."""

    what: str
    level: Level
    text: str
    remedy: str = ""


def encode(finding: Finding) -> Message:
    """Return a finding as it is sent, whatever it quotes."""
    texts = {"what": finding.what, "text": finding.text, "remedy": finding.remedy}
    safe = {
        name: text[:_MOST_TEXT].encode("utf-8", "replace").decode().replace("\0", "?") for name, text in texts.items()
    }
    return {**safe, "level": finding.level.value}


def decode(answer: Message) -> list[Finding]:
    """Return the findings in the answer of an agent. Raises ProtocolError."""
    found = answer.get("findings")
    if not isinstance(found, list) or len(found) > _MOST_FINDINGS or not all(isinstance(one, dict) for one in found):
        raise ProtocolError(f"“findings” must be a list of at most {_MOST_FINDINGS} objects")
    return [_decode(message) for message in found]


def _decode(message: Message) -> Finding:
    what, text, remedy = (fields.take_text(message, name, most=_MOST_TEXT) for name in ("what", "text", "remedy"))
    level = fields.take_text(message, "level")
    if level not in {known.value for known in Level}:
        raise ProtocolError(f"{level!a} is no level")
    return Finding(what, Level(level), text, remedy)
