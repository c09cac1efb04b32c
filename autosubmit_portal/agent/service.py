"""The loop of an agent: it answers one gateway until the channel closes."""

import os
import platform
import pwd
import selectors
import sys
import threading
import time
from pathlib import Path

from autosubmit_portal.agent.doctor import Doctor
from autosubmit_portal.agent.host import read_identity
from autosubmit_portal.agent.looking import Looking
from autosubmit_portal.agent.protocol import Cancelled, Event, Hello, Request, Server, fields, limits, strict_json
from autosubmit_portal.agent.reading import Reads
from autosubmit_portal.agent.requests import Commands
from autosubmit_portal.agent.site_file import BadSiteFileError
from autosubmit_portal.agent.spool import make_spool
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.agent.watching import Watching
from autosubmit_portal.sentences import say

TICK_SECONDS = 1.0
# How soon the time is noticed of what goes on; its answer is heard at once.
BUSY_TICK_SECONDS = 0.1
# The gateway closes first when it hears nothing; then the loop ends by itself, unless something holds it up.
_MORE_PATIENCE = 5.0
_FAREWELL_SECONDS = 1.0


class Agent:
    """Answers what a gateway asks; holds nothing that another agent could not learn again."""

    def __init__(self, site_file: Path, reader: int, writer: int) -> None:
        self._site_file = site_file
        self._connection = Server(_describe(), time.monotonic())
        self._stream = Stream(self._connection, reader, writer)
        self._commands: Commands | None = None
        self._children: dict[str, Looking | Reads | Watching] = {}
        self._doctor = Doctor(site_file, self._connection)

    def serve(self) -> str:
        """Answer until the connection is closed; return why it was."""
        threading.Thread(target=self._watch, daemon=True).start()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stream.reader, selectors.EVENT_READ)
            while not self._connection.is_closed:
                self._turn(selector)
        for children in self._children.values():
            children.close()
        self._doctor.close()
        self._say_farewell()
        return self._connection.closed_because

    def _say_farewell(self) -> None:
        """Tell the gateway why this ends, if it still listens."""
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while self._stream.has_something_to_write and time.monotonic() < deadline:
            self._stream.write()
            time.sleep(0.01)

    def _turn(self, selector: selectors.BaseSelector) -> None:
        """Wait until there is something to do, and do it."""
        events = self._stream.write()  # what the gateway takes at once; for the rest it is waited
        self._register(selector)
        ready = {key.fd for key, _ in selector.select(0 if events else self._compute_pause())}
        if self._stream.reader in ready:
            events += self._stream.read(time.monotonic())
        for event in events + self._connection.tick(time.monotonic()):
            self._take(event)
        if self._commands:
            self._commands.warm.tend()
        self._tell_news()

    def _register(self, selector: selectors.BaseSelector) -> None:
        """Wait for all that can be heard, and for the gateway to take what there is to write."""
        has_writer = self._stream.writer in selector.get_map()
        if self._stream.has_something_to_write and not has_writer:
            selector.register(self._stream.writer, selectors.EVENT_WRITE)
        elif has_writer and not self._stream.has_something_to_write:
            selector.unregister(self._stream.writer)
        for children in self._children.values():
            if children.fileno() not in selector.get_map():
                selector.register(children, selectors.EVENT_READ)

    def _compute_pause(self) -> float:
        is_busy = self._doctor.is_busy or any(children.is_busy for children in self._children.values())
        return BUSY_TICK_SECONDS if is_busy else TICK_SECONDS

    def _take(self, event: Event) -> None:
        if self._connection.is_closed:
            return
        if isinstance(event, Hello):
            self._begin(event.facts)
        elif isinstance(event, Request) and self._commands:
            self._answer(self._commands, event)
        elif isinstance(event, Cancelled):
            for children in self._children.values():
                children.cancel(event.channel)
            self._doctor.cancel(event.channel)

    def _begin(self, facts: strict_json.Message) -> None:
        try:
            portal = fields.take_text(facts, "portal")
            make_spool(self._site_file)
            self._commands = Commands(self._site_file, portal)
            self._commands.spool.prune()
            self._children = {
                "look": Looking(self._commands, self._connection),
                "read": Reads(self._site_file, self._connection, portal),
                "watch": Watching(self._site_file, self._connection),
            }
        except (BadSiteFileError, OSError, ValueError) as error:
            self._connection.close(say("The agent cannot work: {error}", error=error))

    def _answer(self, commands: Commands, request: Request) -> None:
        try:
            if request.name in self._children:
                self._children[request.name].ask(request.channel, request.arguments, time.monotonic())
            elif request.name == "ping":
                self._connection.answer(request.channel, {})
            elif request.name == "doctor":
                self._doctor.ask(request.channel, request.arguments, time.monotonic())
            elif request.name in commands.answers:
                answer = commands.answers[request.name]
                self._connection.answer(request.channel, answer(request.arguments))
            else:
                self._connection.fail(
                    request.channel, "unknown", say("There is no request {request}.", request=ascii(request.name))
                )
        except ValueError as error:  # a ProtocolError is one
            self._connection.fail(
                request.channel, "invalid", say("The request is not understood: {error}.", error=error)
            )
        except (OSError, BadSiteFileError) as error:
            self._connection.fail(request.channel, "failed", f"{error}")

    def _tell_news(self) -> None:
        """Answer those who wait, if there is news."""
        for children in self._children.values():
            if not self._connection.is_closed:
                children.turn(time.monotonic())
        if not self._connection.is_closed:
            self._doctor.turn(time.monotonic())

    def _watch(self) -> None:
        """End the process when nothing has been heard for long, also when the loop hangs on a disk."""
        while True:
            patience = limits.SILENCE_SECONDS if self._connection.version else limits.HELLO_SECONDS
            if time.monotonic() - self._connection.heard_at > patience + _MORE_PATIENCE:
                os._exit(1)
            time.sleep(TICK_SECONDS)


def run(site_file: Path) -> None:
    """Serve the gateway on descriptors 0 and 1.

    Whatever else is printed goes to descriptor 2.
    """
    writer = os.dup(1)
    os.dup2(2, 1)
    print(Agent(site_file, 0, writer).serve(), file=sys.stderr)


def _describe() -> strict_json.Message:
    """Return what an agent says of itself. It proves nothing."""
    identity = read_identity()
    return {
        "machine": identity.machine,
        "boot": identity.boot,
        "namespace": identity.namespace,
        "account": pwd.getpwuid(os.getuid()).pw_name,
        "python": platform.python_version(),
    }
