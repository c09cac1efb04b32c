"""Two ends of a connection without anything between them but the bytes."""

from dataclasses import dataclass, field

from autosubmit_portal.agent.protocol import Client, Connection, Event, Hello, Server, limits
from autosubmit_portal.agent.protocol.frames import MAGIC, Kind, make_frame
from autosubmit_portal.agent.protocol.strict_json import Message, encode
from autosubmit_portal.agent.protocol.versions import OURS, Versions

HELLO: Message = {"type": "hello", "oldest": [1, 0], "newest": [1, 0], "facts": {}}


@dataclass
class Pair:
    """A gateway's end and an agent's end, with the events that each has had."""

    client: Client
    server: Server
    at_client: list[Event] = field(default_factory=list)
    at_server: list[Event] = field(default_factory=list)

    def pass_on(self, now: float = 0) -> None:
        """Hand over whatever waits on both sides, until nothing does."""
        while self.client.bytes_to_send or self.server.bytes_to_send:
            self.at_server += self.server.receive(self.client.take_bytes(), now)
            self.at_client += self.client.receive(self.server.take_bytes(), now)


def make_pair(theirs: Versions = OURS) -> Pair:
    """Return two ends that have said hello; the agent's speaks `theirs`."""
    pair = Pair(Client({"portal": "p"}, 0), Server({"machine": "m"}, 0, theirs))
    pair.pass_on()
    return pair


def greet(connection: Connection) -> list[Event]:
    """Say hello to one end, as the other end would."""
    return connection.receive(MAGIC + message(0, HELLO), 0)


def message(channel: int, value: Message) -> bytes:
    """Return the frame of a short message."""
    return make_frame(channel, Kind.MESSAGE, encode(value))


def make_server() -> Server:
    """Return an agent's end that has been greeted."""
    server = Server({}, 0)
    assert isinstance(greet(server)[0], Hello)
    return server


def make_client() -> Client:
    """Return a gateway's end that has been greeted."""
    client = Client({}, 0)
    assert isinstance(greet(client)[0], Hello)
    return client


def request(channel: int, credit: int = limits.USUAL_CREDIT, name: str = "look") -> bytes:
    """Return the frame of a request."""
    return message(channel, {"type": "request", "name": name, "arguments": {}, "credit": credit})
