"""Real gateways in processes of their own, with real agents."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.agent_archive import write_archive
from autosubmit_portal.gateway.caller import Refused, Unanswered
from tests.agent.agents import DIGEST, KEY, PORTAL, write_site_file
from tests.support.services import children_of
from tests.support.site_host import PYTHON, SiteHost
from tests.support.waiting import PATIENCE, wait_for

# Says hello as an agent does, then runs what is given to it.
LIAR = """
import os, sys, time
from autosubmit_portal.agent.protocol import Server
hello = Server({}, 0).take_bytes()
def send(data):
    os.write(1, data)
"""


@dataclass
class RunningGateway:
    """A gateway and its two sockets."""

    process: "subprocess.Popen[bytes]"
    reading: Path
    acting: Path

    def ask(self, name: str, host: str = "here", seconds: float = PATIENCE, **arguments: Any) -> Any:
        """Ask the agent of a host, on the socket for those who act."""
        return caller.ask(self.acting, host, name, {"key": KEY} | arguments, seconds)[0]

    def start(self, *words: str, **changes: Any) -> Any:
        """Start a command."""
        return self.ask("start", digest=DIGEST, kind="run", words=words, account="", profile="usual", **changes)

    def look(self, **changes: Any) -> Any:
        """Look at a command."""
        return self.ask("look", **({"generation": 0, "offset": 0, "wait_seconds": 0} | changes))

    def wait_for_end(self) -> Any:
        """Return the look at a command that has ended."""
        return wait_for(self.look_if_there, is_enough=lambda look: look.get("state") == "ended")

    def wait_for_output(self, **changes: Any) -> None:
        """Wait until a command has printed something."""
        wait_for(lambda: self.look_if_there(**changes).get("size"))

    def look_if_there(self, **changes: Any) -> Any:
        """Look at a command, if the host is there and stays."""
        try:
            return self.look(**changes)
        except (Refused, Unanswered):
            return {}

    def read_output(self, key: str) -> bytes:
        """Return all that a command has printed."""
        printed = b""
        while True:
            arguments = {"key": key, "generation": 0, "offset": len(printed), "wait_seconds": 0}
            look, piece = caller.ask(self.reading, "here", "look", arguments, PATIENCE)
            printed += piece
            if len(printed) == look["size"]:
                return printed

    def describe(self, host: str = "here") -> Any:
        """Return what the gateway knows of a host."""
        return caller.list_hosts(self.reading, PATIENCE)["hosts"][host]

    def wait_for_host(self, host: str = "here") -> None:
        """Wait until a host is connected."""
        wait_for(lambda: self.describe(host)["is_connected"])

    def find_agent(self) -> int:
        """Return the process of the only agent, which is a child."""
        (child,) = wait_for(self.find_children)
        assert "agent-" in children_of(self.process.pid)
        return child

    def find_children(self) -> list[int]:
        """Return the processes that are the channels."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def make_local(folder: Path) -> Message:
    """Return a host that is reached by a local channel."""
    folder.mkdir(exist_ok=True)
    agent, site_file = write_archive(folder / "agents"), write_site_file(folder)
    return {"channel": "local", "agent": str(agent), "site_file": str(site_file)}


def make_other(*argv: str) -> Message:
    """Return a host that is reached by a program of the test."""
    return {"channel": "command", "argv": argv}


def make_liar(code: str) -> Message:
    """Return a host whose agent lies."""
    return make_other(sys.executable, "-c", LIAR + code)


@contextmanager
def gateway(
    folder: Path, hosts: Mapping[str, Message], python: str = sys.executable, listen: str = "", **how: Any
) -> Iterator[RunningGateway]:
    """Lend a gateway with these hosts, started as `how` says, which agents may call; it is killed at the end."""
    # They may be links.
    reading, acting = ((folder / name).resolve() for name in ("reading", "acting"))
    file = folder / "hosts.json"
    for old in (reading, acting):
        old.unlink(missing_ok=True)
    places = {"reading": str(reading), "acting": str(acting), "listen": listen}
    file.write_text(json.dumps({"portal": PORTAL, **places, "hosts": dict(hosts)}))
    with subprocess.Popen([python, "-m", "autosubmit_portal.gateway", str(file)], **how) as process:
        try:
            wait_for(lambda: reading.exists() and acting.exists())
            yield RunningGateway(process, reading, acting)
            assert process.poll() in (None, -9), "the gateway has ended"
        finally:
            process.kill()


@contextmanager
def reached(
    host: SiteHost, place: Path, channel: str, variables: Mapping[str, str] = MappingProxyType({}), **changes: Any
) -> Iterator[RunningGateway]:
    """Lend a gateway, as its own account, that reaches a host by a channel, or is called by its agent."""
    hosts, how = {"here": host.reach(channel, **changes)}, host.as_gateway()
    how["env"] |= variables
    with (
        gateway(place, hosts, PYTHON, listen=host.listen, **how) as made,
        host.calling() if channel == "websocket" else nullcontext(),
    ):
        yield made
