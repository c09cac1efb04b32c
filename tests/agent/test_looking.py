"""Those who wait for news of a command, on real processes."""

import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autosubmit_portal.agent import looking
from autosubmit_portal.agent.looking import Looking
from autosubmit_portal.agent.protocol import Answer, Request
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.requests import Commands
from tests.agent.agents import DIGEST, KEY, PORTAL, write_site_file
from tests.agent.protocol.pairs import Pair, make_pair
from tests.support.waiting import PATIENCE, wait_for

WAIT = {"key": KEY, "offset": 0, "limit": 0, "wait_seconds": 30}


@dataclass
class Looked:
    """What answers a gateway about the commands of a site; it looks by itself once in an hour."""

    commands: Commands
    pair: Pair
    looking: Looking

    def start(self, script: str) -> None:
        """Start a command, and return when it has begun."""
        what: Message = {"kind": "run", "words": ["-c", script], "account": "", "profile": "usual"}
        assert self.commands.answers["start"]({"key": KEY, "digest": DIGEST, **what})["outcome"] == "started"
        wait_for(lambda: self.commands.spool.find(KEY).look().has_started)

    def ask(self) -> None:
        """Have somebody wait for the end of the command."""
        self.pair.client.request("look", WAIT, 0)
        self.pair.pass_on()
        (request,) = (event for event in self.pair.at_server if isinstance(event, Request))
        self.looking.ask(request.channel, request.arguments, time.monotonic())

    def turn(self) -> list[Message]:
        """Return what is answered now."""
        self.looking.turn(time.monotonic())
        self.pair.pass_on()
        return [event.value for event in self.pair.at_client if isinstance(event, Answer)]


@pytest.fixture
def looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looked]:
    monkeypatch.setattr(looking, "LOOK_SECONDS", 3600)
    pair, commands = make_pair(), Commands(write_site_file(tmp_path), PORTAL)
    made = Looked(commands, pair, Looking(commands, pair.server))
    yield made
    made.looking.close()


def test_the_end_of_a_command_is_told_at_once(looked: Looked, tmp_path: Path) -> None:
    looked.start(f"while ! test -e {tmp_path}/go; do sleep 0.02; done; exit 3")
    looked.ask()
    assert looked.turn() == []
    (tmp_path / "go").touch()
    assert select.select([looked.looking], [], [], PATIENCE)[0]
    assert [answer["exit_status"] for answer in looked.turn()] == [3]
    assert not looked.looking.is_busy


def test_who_waits_no_more_holds_nothing_open(looked: Looked) -> None:
    looked.start("exec sleep 600")
    looked.ask()
    looked.turn()
    looked.looking.cancel(1)
    looked.commands.spool.find(KEY).end()
    assert not looked.looking.is_busy
    wait_for(lambda: not looked.commands.spool.find(KEY).look().is_alive)
    assert not select.select([looked.looking], [], [], 0)[0]


def test_where_the_kernel_does_not_tell_the_end_it_is_looked_for(
    looked: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0)
    monkeypatch.delattr("os.pidfd_open")
    looked.start("exit 3")
    looked.ask()
    (answer,) = wait_for(looked.turn)
    assert answer["exit_status"] == 3
