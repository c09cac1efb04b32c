"""What a connection tells whoever holds it."""

from dataclasses import dataclass

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.protocol.versions import Version


@dataclass(frozen=True, slots=True)
class Hello:
    """The other side is there; `version` is what both speak, `facts` is what it says of itself."""

    version: Version
    facts: Message


@dataclass(frozen=True, slots=True)
class Request:
    """The gateway asks for something; answer it or let it fail, once."""

    channel: int
    name: str
    arguments: Message


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody waits for the answer any more; the request still has to be answered or to fail, soon."""

    channel: int


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of an answer, before it; say `consume` when they have been passed on."""

    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, its last event."""

    channel: int
    value: Message


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no answer; its last event."""

    channel: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over; nothing follows."""

    reason: str


Event = Hello | Request | Cancelled | Data | Answer | Failure | Closed
