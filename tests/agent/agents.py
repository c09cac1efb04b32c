"""Real agents in processes of their own, each with the gateway's end of its channel."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autosubmit_portal.agent.protocol import Answer, Client, Closed, Data, Event, Failure, Hello
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway.agent_archive import write_archive
from tests.support.waiting import PATIENCE

PORTAL = "0f7b3a5e-5d0c-4c58-9f0e-3b6f6a3c1d11"
KEY = "7d1f6c9a-84f1-4b7e-a6c4-54f2b1f0a001"
DIGEST = "ab" * 32
RC = """[database]
path = {0}
[local]
path = {0}
[structures]
path = {0}/structures
[historicdb]
path = {0}/history
"""


@dataclass
class Channel:
    """The gateway's end of a channel to an agent."""

    process: "subprocess.Popen[bytes]"
    client: Client
    stream: Stream
    events: list[Event] = field(default_factory=list)

    def turn(self) -> None:
        """Pass on what there is."""
        self.events += self.stream.write()
        with selectors.DefaultSelector() as selector:
            selector.register(self.stream.reader, selectors.EVENT_READ)
            if selector.select(0.05):
                self.events += self.stream.read(time.monotonic())
        self.events += self.client.tick(time.monotonic())

    def wait_for(self, *kinds: type[Event], channel: int | None = None) -> Any:
        """Return the first event of these kinds, about a request if one is named."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event in self.events:
                if isinstance(event, kinds) and channel in (None, getattr(event, "channel", None)):
                    return event
            assert not self.client.is_closed, self.client.closed_because
            self.turn()
        raise AssertionError(f"no {kinds}, only {self.events}")

    def ask(self, name: str, /, **arguments: Any) -> Any:
        """Ask, and return the answer or the failure."""
        channel = self.client.request(name, arguments, time.monotonic())
        event = self.wait_for(Answer, Failure, channel=channel)
        return event.value if isinstance(event, Answer) else event

    def read(self, what: str, expid: str, /, **arguments: Any) -> tuple[Any, bytes]:
        """Return the message and the bytes of what is read."""
        self.events.clear()
        answer = self.ask("read", expid=expid, what=what, **arguments)
        return answer, b"".join(event.data for event in self.events if isinstance(event, Data))

    def start(self, *words: str, **changes: Any) -> Any:
        """Start a command."""
        request = {"key": KEY, "digest": DIGEST, "kind": "run", "words": words, "account": "", "profile": "usual"}
        return self.ask("start", **(request | changes))

    def look(self, **changes: Any) -> Any:
        """Look at a command, and wait for news."""
        return self.ask("look", **({"key": KEY, "generation": 0, "offset": 0, "wait_seconds": 20} | changes))

    def follow(self, key: str = KEY) -> tuple[Any, bytes]:
        """Look until the command has ended; return how it has, and all its output."""
        offset, printed = 0, b""
        while True:
            self.events.clear()
            look = self.look(key=key, offset=offset)
            piece = b"".join(event.data for event in self.events if isinstance(event, Data))
            printed, offset = printed + piece, look["offset"] + len(piece)
            if look["state"] not in ("alive", "not started") and offset == look["size"]:
                return look, printed


def write_site_file(folder: Path, **changes: Any) -> Path:
    """Write what the owner of a site allows: a shell in place of Autosubmit."""
    file = folder / "agent.json"
    site = {
        "program": "/bin/sh",
        "spool": str(folder / "spool"),
        "umask": "0022",
        "kinds": {"run": ["-c"]},
        "profiles": {"usual": {"SITE": "es"}},
    }
    file.write_text(json.dumps(site | changes))
    return file


def find_pythons(first: int = 10) -> list[str]:
    """Return a Python of each version from 3.`first` that is here, and our own."""
    found = {sys.version_info[:2]: sys.executable}
    for minor in range(first, 20):
        for folder in (*Path.home().glob(f".pyenv/versions/3.{minor}.*/bin"), *map(Path, os.get_exec_path())):
            python = folder / f"python3.{minor}"
            if python.exists() and "shims" not in python.parts:
                found.setdefault((3, minor), str(python))
    return sorted(found.values())


@contextmanager
def agent(folder: Path, python: str = sys.executable, portal: str = PORTAL, **changes: Any) -> Iterator[Channel]:
    """Lend a channel to an agent, which is killed at the end; what it has started goes on."""
    archive, site_file = write_archive(folder / "agents"), write_site_file(folder, **changes)
    with subprocess.Popen(
        [python, "-I", str(archive), str(site_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    ) as process:
        assert process.stdin
        assert process.stdout
        client = Client({"portal": portal}, time.monotonic())
        channel = Channel(process, client, Stream(client, process.stdout.fileno(), process.stdin.fileno()))
        channel.wait_for(Hello, Closed)
        yield channel
        process.kill()
