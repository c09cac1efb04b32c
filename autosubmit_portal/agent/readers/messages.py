"""What an agent and its readers send each other through pipes: lengths, a message, and bytes."""

import struct

from autosubmit_portal.agent.protocol import strict_json
from autosubmit_portal.agent.protocol.limits import MOST_DOCUMENT_BYTES
from autosubmit_portal.agent.protocol.strict_json import Message

MOST_DATA_BYTES = MOST_DOCUMENT_BYTES
PUT_OFF: Message = {"is_put_off": True}
"""A reader has found so much to read that it belongs into the slow lane, and has not begun."""

HEAD = struct.Struct(">IQ")


def pack(message: Message, data: bytes = b"") -> bytes:
    """Return the bytes of a message; ProtocolError for one that the other side would refuse."""
    encoded = strict_json.encode(message)
    return HEAD.pack(len(encoded), len(data)) + encoded + data
