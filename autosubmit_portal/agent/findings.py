"""What an examination finds, of the portal or of a host, and how an agent tells it to a portal."""

from dataclasses import dataclass
from enum import IntEnum

from autosubmit_portal.agent.protocol import ProtocolError, fields
from autosubmit_portal.agent.protocol.strict_json import Message

_MOST_TEXT = 1000
_MOST_FINDINGS = 100


class Level(IntEnum):
    """How bad it is, in ascending order."""

    OK = 0
    WARN = 1
    FAIL = 2

    @property
    def word(self) -> str:
        """As it is sent and printed."""
        return self.name.lower()


_LEVELS = {level.word: level for level in Level}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: a `word` for machines, a `text` for people, and the `remedy`.

    The word says how a `part` of the portal is, or what was examined at a host.
    """

    level: Level
    word: str
    text: str
    remedy: str = ""
    part: str = ""


def encode(finding: Finding) -> Message:
    """Return a finding as it is sent, whatever it quotes."""
    texts = {"what": finding.word, "text": finding.text, "remedy": finding.remedy}
    safe = {
        name: text[:_MOST_TEXT].encode("utf-8", "replace").decode().replace("\0", "?") for name, text in texts.items()
    }
    return {**safe, "level": finding.level.word}


def decode(answer: Message) -> list[Finding]:
    """Return the findings in the answer of an agent. Raises ProtocolError."""
    found = answer.get("findings")
    if not isinstance(found, list) or len(found) > _MOST_FINDINGS or not all(isinstance(one, dict) for one in found):
        raise ProtocolError(f"“findings” must be a list of at most {_MOST_FINDINGS} objects")
    return [_decode(message) for message in found]


def _decode(message: Message) -> Finding:
    what, text, remedy = (fields.take_text(message, name, most=_MOST_TEXT) for name in ("what", "text", "remedy"))
    level = fields.take_text(message, "level")
    if level not in _LEVELS:
        raise ProtocolError(f"{level!a} is no level")
    return Finding(_LEVELS[level], what, text, remedy)
