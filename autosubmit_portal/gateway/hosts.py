"""The file that tells a gateway whose it is and which hosts it reaches."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent.protocol import ProtocolError, fields, strict_json
from autosubmit_portal.gateway.channels import make_command

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_MOST_PATH = 4096


class BadHostsFileError(Exception):
    """The file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """The portal, the two sockets, and the command that is the channel to each host, with the kind of channel.

    A socket is for its owner and its group: the group is that of its folder, where that has the setgid bit.
    """

    portal: str
    reading: Path
    acting: Path
    commands: Mapping[str, list[str]]
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
        return Hosts(
            portal=portal,
            reading=reading,
            acting=acting,
            commands={_check_name(name): _take_command(hosts, name) for name in hosts},
            kinds={name: fields.take_text(fields.take_object(hosts, name), "channel") for name in hosts},
        )
    except (OSError, ProtocolError) as error:
        raise BadHostsFileError(f"{file} cannot be used: {error}.") from error


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ProtocolError(f"{name!a} is no name of a host")
    return name


def _take_command(hosts: strict_json.Message, name: str) -> list[str]:
    try:
        return make_command(fields.take_object(hosts, name))
    except ProtocolError as error:
        raise ProtocolError(f"of host “{name}” {error}") from error
