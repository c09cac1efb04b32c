"""The file that tells a gateway whose it is and which hosts it reaches."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent.protocol import ProtocolError, fields, strict_json
from autosubmit_portal.gateway.channels import Digests, make_way

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_ADDRESS = re.compile(r"/[^\0]*|(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_MOST_PATH = 4096


class BadHostsFileError(Exception):
    """The file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """The portal, the two sockets, and the way to each host: a command, or the tokens of an agent that calls.

    `kinds` says which kind of channel each is. A socket is for its owner and its group: the group is that of its
    folder, where that has the setgid bit. Agents call at `listen`, which is HOST:PORT or the path of a socket; blank if
    none does.
    """

    portal: str
    reading: Path
    acting: Path
    listen: str
    ways: Mapping[str, list[str] | Digests]
    kinds: Mapping[str, str]


def read_hosts(file: Path) -> Hosts:
    """Read the file, which is JSON. Raises BadHostsFileError."""
    try:
        message = strict_json.decode(file.read_bytes())
        hosts = fields.take_object(message, "hosts")
        portal = fields.take_text(message, "portal")
        reading, acting = (Path(fields.take_text(message, name, most=_MOST_PATH)) for name in ("reading", "acting"))
        if reading.resolve() == acting.resolve():  # who may only read could act
            raise ProtocolError("“reading” and “acting” must name two sockets")
        ways = {check_name(name): _take_way(hosts, name) for name in hosts}
        listen = _take_address(message)
        if not listen and any(isinstance(way, frozenset) for way in ways.values()):
            raise ProtocolError("“listen” must say where agents call, such as 127.0.0.1:8765")
        kinds = {name: fields.take_text(fields.take_object(hosts, name), "channel") for name in hosts}
        return Hosts(portal, reading, acting, listen, ways, kinds)
    except (OSError, ProtocolError) as error:
        raise BadHostsFileError(f"{file} cannot be used: {error}.") from error


def check_name(name: str) -> str:
    """Return what may be the name of a host. Raises ProtocolError."""
    if not _NAME.fullmatch(name):
        raise ProtocolError(f"{name!a} is no name of a host")
    return name


def _take_address(message: strict_json.Message) -> str:
    listen = fields.take_text({"listen": ""} | message, "listen")
    if listen and not _ADDRESS.fullmatch(listen):
        raise ProtocolError("“listen” must be HOST:PORT or the path of a socket")
    return listen


def _take_way(hosts: strict_json.Message, name: str) -> list[str] | Digests:
    try:
        return make_way(fields.take_object(hosts, name))
    except ProtocolError as error:
        raise ProtocolError(f"of host “{name}” {error}") from error
