"""The loop of a gateway: it passes requests from the callers on this host on to the agents."""

import os
import select
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent import accounts
from autosubmit_portal.agent.protocol import (
    Answer,
    Busy,
    Cancelled,
    Client,
    Data,
    Event,
    Failure,
    ProtocolError,
    Request,
    Server,
    fields,
)
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway import sockets
from autosubmit_portal.gateway.called_channel import CalledChannel
from autosubmit_portal.gateway.channel import Channel
from autosubmit_portal.gateway.channels import Digests
from autosubmit_portal.gateway.entrance import Entrance
from autosubmit_portal.gateway.hosts import BadHostsFileError, read_hosts
from autosubmit_portal.gateway.program_channel import ProgramChannel
from autosubmit_portal.gateway.relay import Relay
from autosubmit_portal.sentences import say

READING = frozenset({"look", "read", "watch", "doctor"})
ACTING = READING | {"start", "end", "interrupt", "give_up", "forget"}
# Longer than an agent lets anybody wait for news.
ANSWER_SECONDS = 45.0
# Longer than an agent lets a reader work: half a million jobs take minutes on a busy host.
READ_SECONDS = 230.0
MOST_CALLERS = 200
IDLE_SECONDS = 300.0
_TICK_MILLISECONDS = 200
# How often the gateway looks at the file of hosts and at its sockets.
_STAMPS_SECONDS = 0.2


class Displaced(Exception):
    """Another gateway listens where this one did, so that nobody finds this one any more."""


@dataclass(eq=False, slots=True)
class Caller:
    """A process of the portal that is connected to one of the sockets."""

    socket: socket.socket
    server: Server
    stream: Stream
    allowed: frozenset[str]


class Gateway:
    """Holds the channels and the callers."""

    def __init__(self, hosts_file: Path) -> None:
        self._hosts_file, self._stamp = hosts_file, _take_stamp(hosts_file)
        hosts, now = read_hosts(hosts_file), time.monotonic()
        self._portal, self._kinds = hosts.portal, hosts.kinds
        self._entrance = _open_entrance(hosts.listen, now)
        self._channels = {name: self._make_channel(way, now) for name, way in hosts.ways.items()}
        self._listeners = {
            listener.fileno(): (listener, allowed)
            for listener, allowed in ((_listen(hosts.reading), READING), (_listen(hosts.acting), ACTING))
        }
        self._places = {place: _take_stamp(place) for place in (hosts.reading, hosts.acting)}
        self._left: list[ProgramChannel] = []
        self._callers: dict[int, Caller] = {}
        self._relays: list[Relay] = []
        self._asked_at = self._stamped_at = now

    def serve(self, *, until_idle: bool = False) -> None:
        """Pass on for ever, or until nobody has asked for a while. Raises Displaced."""
        while not (until_idle and time.monotonic() - self._asked_at > IDLE_SECONDS):
            self.turn()

    def turn(self) -> None:
        """Wait until there is something to pass on, and do it. Raises Displaced."""
        ready = self._wait()
        now = time.monotonic()
        before = {channel: channel.client for channel in self._channels.values()}
        if now - self._stamped_at >= _STAMPS_SECONDS:
            self._stamped_at = now
            self._read_hosts_anew(now)
            self._refuse_others()
        self._left = [channel for channel in self._left if not channel.reap(now)]
        for caller in tuple(self._callers.values()):
            self._hear_caller(caller, ready, now)
        self._serve_channels(ready, now)
        for channel, client in before.items():
            if client and channel.client is not client:
                self._lose(client, channel.reason)
        self._pass_on(now)
        for descriptor in ready & self._listeners.keys():
            self._accept(*self._listeners[descriptor], now)
        for caller in tuple(self._callers.values()):
            self._answer_caller(caller)

    def _refuse_others(self) -> None:
        """Raise Displaced when it is another gateway that listens."""
        for place, stamp in self._places.items():
            found = _take_stamp(place)
            if not any(found) or found != stamp:  # it may have gone before its stamp was taken
                raise Displaced(f"{place} was removed, or another gateway listens there.")

    def _read_hosts_anew(self, now: float) -> None:
        """Open channels to the hosts that are new in the file, and leave those that are gone or have changed."""
        stamp = _take_stamp(self._hosts_file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            hosts = read_hosts(self._hosts_file)
        except BadHostsFileError as error:
            print(error, file=sys.stderr)
            return
        ways, self._kinds = hosts.ways, hosts.kinds
        for name, channel in tuple(self._channels.items()):
            if not _follow_way(channel, ways.get(name), now):
                del self._channels[name]
                channel.close(say("It is not in the file of hosts any more."), now)
                if isinstance(channel, ProgramChannel):
                    self._left.append(channel)
        for name in ways.keys() - self._channels.keys():
            self._channels[name] = self._make_channel(ways[name], now)

    def _make_channel(self, way: list[str] | Digests, now: float) -> Channel:
        if isinstance(way, list):
            return ProgramChannel(way, self._portal, now)
        return CalledChannel(way, self._portal, now)

    def _wait(self) -> set[int]:
        poll = select.poll()
        for descriptor in self._listeners:
            poll.register(descriptor, select.POLLIN)
        streams = [channel.stream for channel in self._channels.values() if channel.stream]
        for stream in (*streams, *(caller.stream for caller in self._callers.values())):
            _register(poll, stream)
        for channel in self._channels.values():
            if isinstance(channel, ProgramChannel) and channel.errors is not None:
                poll.register(channel.errors, select.POLLIN)
        if self._entrance:
            self._entrance.register(poll)
        return {descriptor for descriptor, _ in poll.poll(_TICK_MILLISECONDS)}

    def _serve_channels(self, ready: set[int], now: float) -> None:
        for channel in self._channels.values():
            self._serve_channel(channel, ready, now)
        if self._entrance:
            called = {name: channel for name, channel in self._channels.items() if isinstance(channel, CalledChannel)}
            self._entrance.turn(ready, called, now)

    def _serve_channel(self, channel: Channel, ready: set[int], now: float) -> None:
        if isinstance(channel, ProgramChannel) and channel.errors in ready:
            channel.read_errors()
        client = channel.client
        if channel.stream and channel.stream.reader in ready:
            for event in channel.read(now):
                self._take_from_host(client, event)
        if channel.stream and channel.stream.has_something_to_write:
            channel.write(now)
        channel.tick(now)

    def _take_from_host(self, client: Client | None, event: Event) -> None:
        if not isinstance(event, (Data, Answer, Failure)):
            return
        for relay in self._relays:
            if relay.client is client and relay.host_channel == event.channel:
                if isinstance(event, Data):
                    relay.take_data(event.data)
                else:
                    relay.take_last(event)

    def _lose(self, client: Client, reason: str) -> None:
        """Say of what was asked and not answered that nobody knows what became of it."""
        for relay in [relay for relay in self._relays if relay.client is client]:
            self._relays.remove(relay)
            relay.fail("unanswered", say("The connection to the host was lost: {reason}", reason=reason))

    def _accept(self, listener: socket.socket, allowed: frozenset[str], now: float) -> None:
        self._asked_at = now
        try:
            connected, _ = listener.accept()
        except OSError:  # the caller has gone away, or there are no descriptors left
            return
        if len(self._callers) >= MOST_CALLERS:
            connected.close()
            return
        server = Server({}, now)
        stream = Stream(server, connected.fileno(), connected.fileno())
        self._callers[connected.fileno()] = Caller(connected, server, stream, allowed)

    def _hear_caller(self, caller: Caller, ready: set[int], now: float) -> None:
        if caller.stream.reader in ready:
            for event in caller.stream.read(now):
                self._take_from_caller(caller, event, now)
        caller.server.tick(now)

    def _answer_caller(self, caller: Caller) -> None:
        """Send what the caller takes at once; for the rest it is waited."""
        if caller.stream.has_something_to_write:
            caller.stream.write()
        if caller.server.is_closed:
            self._leave(caller)

    def _leave(self, caller: Caller) -> None:
        for relay in self._relays:
            if relay.caller is caller.server and relay.is_watched:
                relay.leave()
        del self._callers[caller.socket.fileno()]
        caller.socket.close()

    def _take_from_caller(self, caller: Caller, event: Event, now: float) -> None:
        if caller.server.is_closed:
            return
        if isinstance(event, Request):
            try:
                self._take_request(caller, event, now)
            except ProtocolError as error:
                caller.server.fail(
                    event.channel, "invalid", say("The request is not understood: {error}.", error=error)
                )
        elif isinstance(event, Cancelled):
            for relay in self._relays:
                if relay.caller is caller.server and relay.caller_channel == event.channel:
                    relay.client.cancel(relay.host_channel)

    def _take_request(self, caller: Caller, request: Request, now: float) -> None:
        if request.name == "hosts":
            caller.server.answer(request.channel, self._describe(now))
            return
        if request.name not in caller.allowed:
            caller.server.fail(
                request.channel, "forbidden", say("This socket is not for {request}.", request=ascii(request.name))
            )
            return
        host = fields.take_text(request.arguments, "host")
        arguments = fields.take_object(request.arguments, "arguments")
        is_for_page = "is_for_page" in request.arguments and fields.take_flag(request.arguments, "is_for_page")
        channel = self._channels.get(host)
        if not channel:
            caller.server.fail(request.channel, "unknown", say("There is no host {host}.", host=ascii(host)))
        elif not channel.client:
            away = say(
                "The host has been away for {seconds} s. {reason}",
                seconds=f"{now - channel.changed_at:.0f}",
                reason=channel.reason,
            )
            caller.server.fail(request.channel, "away", away)
        elif is_for_page and channel.is_silent(now):
            caller.server.fail(request.channel, "unanswered", _describe_silence(channel, now))
        else:
            relay = self._relay(caller.server, request, channel.client, arguments)
            if relay and is_for_page:
                relay.is_patient = False
                channel.ping(now)

    def _relay(self, caller: Server, request: Request, client: Client, arguments: Message) -> Relay | None:
        now = time.monotonic()
        try:
            asked = client.request(request.name, arguments, now)
        except Busy as error:
            caller.fail(request.channel, "busy", say("The host is busy. {error}", error=error))
            return None
        most_seconds = READ_SECONDS if request.name == "read" else ANSWER_SECONDS
        self._relays.append(Relay(caller, request.channel, client, asked, now, most_seconds))
        return self._relays[-1]

    def _pass_on(self, now: float) -> None:
        silent = {channel.client: channel for channel in self._channels.values() if channel.is_silent(now)}
        for relay in tuple(self._relays):
            if relay.is_watched and relay.caller.is_closed:
                relay.leave()
            if relay.pass_on():
                self._relays.remove(relay)
            elif relay.is_watched and now > relay.asked_at + relay.most_seconds:
                relay.fail(
                    "unanswered", say("The host has not answered for {seconds} s.", seconds=f"{relay.most_seconds:.0f}")
                )
                relay.leave()
            elif relay.is_watched and relay.client in silent and not relay.was_taken(silent[relay.client].heard_at):
                relay.fail("unanswered", _describe_silence(silent[relay.client], now))
                relay.leave()
            elif now > relay.asked_at + 2 * relay.most_seconds:
                self._abandon(relay.client, now)

    def _abandon(self, client: Client, now: float) -> None:
        """Leave an agent that beats and does not answer: its requests would be in the way for ever."""
        for channel in self._channels.values():
            if channel.client is client:
                channel.close(say("The agent does not answer."), now)
        self._lose(client, say("The agent does not answer."))

    def _describe(self, now: float) -> Message:
        hosts = {
            name: {"channel": self._kinds[name], **_describe(channel, now)} for name, channel in self._channels.items()
        }
        return {"account": accounts.get_name(os.getuid()), "portal": self._portal, "hosts": hosts}


def _describe_silence(channel: Channel, now: float) -> str:
    return say("The host has been silent for {seconds} s.", seconds=f"{now - channel.heard_at:.0f}")


def _describe(channel: Channel, now: float) -> Message:
    return {
        "is_connected": bool(channel.client),
        "for_seconds": int(now - channel.changed_at),
        "reason": channel.reason,
        "remedy": channel.remedy,
        "facts": channel.facts,
    }


def _register(poll: select.poll, stream: Stream) -> None:
    reads, writes = select.POLLIN, select.POLLOUT if stream.has_something_to_write else 0
    if stream.reader == stream.writer:
        poll.register(stream.reader, reads | writes)
        return
    poll.register(stream.reader, reads)
    if writes:
        poll.register(stream.writer, writes)


def _follow_way(channel: Channel, way: list[str] | Digests | None, now: float) -> bool:
    """Have a channel do as the file of hosts says now; return whether it can."""
    if isinstance(channel, CalledChannel) and isinstance(way, frozenset):
        channel.allow(way, now)
        return True
    return isinstance(channel, ProgramChannel) and channel.command == way


def _open_entrance(address: str, now: float) -> Entrance | None:
    try:
        return Entrance(sockets.listen_at(address), now) if address else None
    except (OSError, OverflowError) as error:
        raise BadHostsFileError(f"{address} cannot be listened at: {error}.") from error


def _listen(place: Path) -> socket.socket:
    try:
        return sockets.listen(place)
    except OSError as error:
        remedy = "" if place.parent.is_dir() else f" Make the folder {place.parent} (docs/operations.md, The gateway)."
        raise BadHostsFileError(f"{place} cannot be listened at: {error.strerror or error}.{remedy}") from error


def _take_stamp(file: Path) -> tuple[int, int, int]:
    """Return what tells one state of a file from another; zeros for none."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino
