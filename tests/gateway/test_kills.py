"""Commands that are started and followed while agents and gateways are killed: each runs once, none is lost."""

import os
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autosubmit_portal.gateway.caller import Refused, Unanswered
from tests.gateway.gateways import RunningGateway, gateway, make_local
from tests.support import fuzz

COMMANDS, KILLS = 24, 8


class Site:
    """A gateway that is replaced when it was killed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.hosts = {"here": make_local(folder / "site")}
        self.gateway = self.open()

    def open(self) -> RunningGateway:
        self.gateway = self.stack.enter_context(gateway(self.folder, self.hosts))
        return self.gateway

    def kill_something(self, random: Random) -> None:
        """Kill the gateway, or its agents."""
        self.gateway.wait_for_host()
        if random.random() < 0.4:
            self.gateway.process.kill()
            self.open()
            return
        pid = self.gateway.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

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
    random = Random(seed)
    keys = [str(uuid.UUID(int=random.getrandbits(128))) for _ in range(COMMANDS)]
    with ExitStack() as stack, ThreadPoolExecutor(6) as workers:
        site = Site(tmp_path, stack)
        ended = [workers.submit(site.run, key, place) for place, key in enumerate(keys)]
        for _ in range(KILLS):
            threading.Event().wait(random.random() / 2)
            site.kill_something(random)
        assert [each.result() for each in ended] == list(range(COMMANDS))
    assert [len((tmp_path / f"started-{key}").read_text().split()) for key in keys] == [1] * COMMANDS
