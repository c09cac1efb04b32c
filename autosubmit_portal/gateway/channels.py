"""What the file of hosts says of the channel to a host: the program that reaches it, or the tokens of who calls."""

import hashlib
import re
import shlex
import sys
from collections.abc import Callable

from autosubmit_portal.agent.accounts import SUDO
from autosubmit_portal.agent.protocol import ProtocolError, fields
from autosubmit_portal.agent.protocol.strict_json import Message

SSH = "/usr/bin/ssh"
CONNECT_SECONDS = 15
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
# No option of ssh, and nothing that it would expand.
_DESTINATION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,254}")
_PYTHON = re.compile(r"/[^\0]*|python[0-9.]*")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@-]+")
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_MOST_PATH = 4096
_CALLED = "websocket"
_AGENT = ("channel", "agent", "python", "site_file")


# Whoever is to call shows a token of which this is a SHA-256.
Digests = frozenset[str]


def digest_token(token: str) -> str:
    """Return what the file of hosts keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_way(host: Message) -> list[str] | Digests:
    """Return the program that reaches a host, with its arguments, or the digests of the tokens of its agent.

    Raises ProtocolError for what is not understood.
    """
    if host.get("channel") == _CALLED:
        return _take_digests(host)
    return make_command(host)


def make_command(host: Message) -> list[str]:
    """Return the program that reaches a host, with its arguments. Raises ProtocolError for what is not understood."""
    name = fields.take_text(host, "channel")
    if name not in _CHANNELS:
        raise ProtocolError(f"“channel” must be one of {', '.join((*_CHANNELS, _CALLED))}")
    return _CHANNELS[name](host)


def _take_digests(host: Message) -> Digests:
    """Take the digests of one token, or of several while a new one takes the place of an old one."""
    fields.refuse_others(host, "channel", "tokens")
    digests = fields.take_texts(host, "tokens")
    if not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise ProtocolError("“tokens” must be SHA-256 digests of 64 hexadecimal digits, as agent --token prints them")
    return frozenset(digest.lower() for digest in digests)


def _make_local(host: Message) -> list[str]:
    """A child of the gateway, as its own account: there are no walls."""
    fields.refuse_others(host, *_AGENT)
    return _make_agent(host, python=sys.executable)


def _make_sudo(host: Message) -> list[str]:
    """A child as another account. The rule of sudo names all of these arguments, so that it allows nothing else."""
    fields.refuse_others(host, *_AGENT, "account")
    account = fields.take_text(host, "account")
    if not _ACCOUNT.fullmatch(account):
        raise ProtocolError("“account” must be the name of a Unix account")
    return [SUDO, "-n", "-H", "-u", account, "--", *_make_agent(host, python="/usr/bin/python3")]


def _make_ssh(host: Message) -> list[str]:
    """A session of the system's OpenSSH client. What its own configuration says of a jump host still holds."""
    fields.refuse_others(host, *_AGENT, "destination", "port", "known_hosts", "identity_file")
    destination = fields.take_text(host, "destination")
    if not _DESTINATION.fullmatch(destination):
        raise ProtocolError("“destination” must be HOST or ACCOUNT@HOST")
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _take_plain_path(host, "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "IdentitiesOnly": "yes",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ControlMaster": "no",
        "Compression": "yes",  # what is asked and answered again and again is nearly the same
        "ControlPath": "none",
        "PermitLocalCommand": "no",
        "ServerAliveInterval": "0",  # the protocol beats
        "ConnectTimeout": str(CONNECT_SECONDS),
        "Port": str(fields.take_number({"port": 22} | host, "port", least=1, most=65535)),
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    key = _take_plain_path(host, "identity_file")
    return [SSH, "-T", "-i", key, *settings, "--", destination, shlex.join(_make_agent(host, python="python3"))]


def _make_command(host: Message) -> list[str]:
    """Any other program that reaches an agent, such as `podman exec --interactive`."""
    fields.refuse_others(host, "channel", "argv")
    command = fields.take_texts(host, "argv")
    if not command:
        raise ProtocolError("“argv” must have a program")
    return command


_CHANNELS: dict[str, Callable[[Message], list[str]]] = {
    "local": _make_local,
    "sudo": _make_sudo,
    "ssh": _make_ssh,
    "command": _make_command,
}


def _make_agent(host: Message, python: str) -> list[str]:
    """Return what starts the agent: isolated, so that no variable and no folder adds to its code."""
    python = fields.take_text({"python": python} | host, "python", most=_MOST_PATH)
    if not _PYTHON.fullmatch(python):
        raise ProtocolError("“python” must be an absolute path, or a name such as python3.12")
    site_file = [_take_path(host, "site_file")] if "site_file" in host else []
    return [python, "-I", _take_path(host, "agent"), *site_file]


def _take_path(host: Message, name: str) -> str:
    path = fields.take_text(host, name, most=_MOST_PATH)
    if not path.startswith("/"):
        raise ProtocolError(f"“{name}” must be an absolute path")
    return path


def _take_plain_path(host: Message, name: str) -> str:
    """Return a path in which ssh finds nothing to split or to expand."""
    path = _take_path(host, name)
    if not _PLAIN_PATH.fullmatch(path):
        raise ProtocolError(f"“{name}” must be a path of letters, digits and ._+@-")
    return path
