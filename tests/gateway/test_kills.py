"""Commands that are started and followed while agents and gateways are killed: each runs once, none is lost."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autosubmit_portal.gateway.caller import Refused, Unanswered
from tests.gateway.gateways import RunningGateway, gateway, make_local, reached
from tests.support import fuzz
from tests.support.site_host import CHANNELS, SiteHost

COMMANDS, KILLS = 24, 8


@dataclass
class Site:
    """A gateway that is replaced when it was killed."""

    folder: Path
    open: Callable[[], RunningGateway]
    find_agents: Callable[[RunningGateway], list[int]]
    cut: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.gateway = self.open()

    def kill_something(self, random: Random) -> None:
        """Kill the gateway, or its agents, or cut the link to them."""
        self.gateway.wait_for_host()
        if self.cut and random.random() < 0.3:
            self.cut()
            return
        if random.random() < 0.4:
            self.gateway.process.kill()
            self.gateway = self.open()
            return
        for agent in self.find_agents(self.gateway):
            with suppress(ProcessLookupError):
                os.kill(agent, signal.SIGKILL)

    def run(self, key: str, status: int) -> int:
        """Start a command and follow it to its end, as a worker does."""
        script = f"echo $$ >>{self.folder}/started-{key}; sleep 0.{status:02}; exit {status}"
        look: Any = {"state": "not started"}
        while look["state"] != "ended":
            with suppress(Refused, Unanswered):
                if look["state"] == "not started":  # the key makes it safe to ask again
                    self.gateway.start("-c", script, key=key, seconds=2)
                look = self.gateway.look(key=key, wait_seconds=1, seconds=2)
            time.sleep(0.02)
        return int(look["exit_status"])


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_each_command_runs_once_and_is_followed_to_its_end_whatever_is_killed(tmp_path: Path, seed: int) -> None:
    hosts = {"here": make_local(tmp_path / "site")}
    with ExitStack() as stack:
        kill_while_commands_run(
            Site(tmp_path, lambda: stack.enter_context(gateway(tmp_path, hosts)), RunningGateway.find_children), seed
        )


@pytest.mark.parametrize("channel", CHANNELS)
def test_so_it_is_on_every_channel(host: SiteHost, place: Path, channel: str) -> None:
    def find(made: RunningGateway) -> list[int]:
        """Return the agents; of them those that a killed channel has left are some."""
        return host.find_agents() + made.find_children()

    def cut() -> None:
        """Cut the link for a second."""
        host.use_link(up=False)
        time.sleep(1)
        host.use_link(up=True)

    with ExitStack() as stack:
        open_gateway = partial(reached, host, place, channel)
        can_cut = channel in ("ssh", "websocket") and host.namespace
        site = Site(place, lambda: stack.enter_context(open_gateway()), find, cut if can_cut else None)
        kill_while_commands_run(site, 1)


def kill_while_commands_run(site: Site, seed: int) -> None:
    """Start commands and follow them, while gateways and agents are killed at random."""
    random = Random(seed)
    keys = [str(uuid.uuid4()) for _ in range(COMMANDS)]
    with ThreadPoolExecutor(6) as workers:
        ended = [workers.submit(site.run, key, place) for place, key in enumerate(keys)]
        for _ in range(KILLS):
            threading.Event().wait(random.random() / 2)
            site.kill_something(random)
        assert [each.result() for each in ended] == list(range(COMMANDS))
    assert [len((site.folder / f"started-{key}").read_text().split()) for key in keys] == [1] * COMMANDS
