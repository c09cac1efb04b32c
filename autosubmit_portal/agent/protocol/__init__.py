"""How a gateway and an agent talk: one codec for both, which reads bytes and makes bytes, and does no I/O.

What comes from the other side is believed in nothing. Whoever breaks a rule is told which one, and cut off.
"""

from autosubmit_portal.agent.protocol.client import Client
from autosubmit_portal.agent.protocol.connection import Connection
from autosubmit_portal.agent.protocol.errors import Busy, ProtocolError
from autosubmit_portal.agent.protocol.events import Answer, Cancelled, Closed, Data, Event, Failure, Hello, Request
from autosubmit_portal.agent.protocol.server import Server

__all__ = [
    "Answer",
    "Busy",
    "Cancelled",
    "Client",
    "Closed",
    "Connection",
    "Data",
    "Event",
    "Failure",
    "Hello",
    "ProtocolError",
    "Request",
    "Server",
]
