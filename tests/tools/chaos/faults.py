"""The faults: each does its damage to real processes, files and servers, and says what it did."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools.chaos.client import Client
from tests.tools.chaos.fleet import CLUSTERS, Fleet
from tests.tools.chaos.points import IN_TRANSACTION, POINTS

AWAY_SECONDS = (0.3, 2.5)
# Longer than the broker waits before it delivers again; and longer than an action is waited for before it is lost.
# The gateway leaves an agent that is silent for 20 s.
FROZEN_SECONDS = {True: 25.0, False: 60.0}
STALLS_SECONDS = {True: (8.0, 14.0), False: (8.0, 50.0, 110.0)}
REACH_SECONDS = 10.0


@dataclass(slots=True)
class Faults:
    """Does faults at random, counts them, and keeps what it must undo later."""

    fleet: Fleet
    clients: list[Client]
    dice: random.Random
    in_haste: bool
    counts: Counter[str] = field(default_factory=Counter)
    full_disk: list[tuple[float, float]] = field(default_factory=list)
    asleep: list[tuple[float, int]] = field(default_factory=list)
    planned: list[tuple[str, str]] = field(default_factory=list)

    @property
    def kinds(self) -> dict[Callable[[], str], int]:
        """The faults that this fleet can have, and how often of a hundred times each is done."""
        kinds: dict[Callable[[], str], int] = {
            self.at_a_point: 45,
            self.kill_child: 12,
            self.kill_cluster: 7,
            self.kill_main: 3,
            self.kill_web: 7,
            self.kill_mirror: 5,
            self.kill_gateway: 5,
            self.kill_agent: 5,
            self.freeze_agent: 3,
            self.stall: 6,
            self.deliver_twice: 6,
        }
        if self.fleet.is_disk_ours:
            kinds[self.fill_disk] = 5
        if self.fleet.postgres:
            kinds[self.crash_database] = 7
        if self.fleet.redis:
            kinds[self.kill_broker] = 7
        return kinds

    def do_one(self) -> None:
        """Do one fault, and undo what is due."""
        self.wake(time.monotonic())
        fault = self.dice.choices(list(self.kinds), list(self.kinds.values()))[0]
        said = fault()
        if said:
            self.counts[said] += 1

    def undo(self) -> None:
        """End what still lasts: points that are armed, processes that are stopped."""
        for file in self._points().iterdir():
            file.unlink(missing_ok=True)
        self.wake(float("inf"))

    def wake(self, until: float) -> None:
        """Let the processes go on whose time has come."""
        for due, pid in [sleeper for sleeper in self.asleep if sleeper[0] <= until]:
            self.asleep.remove((due, pid))
            _signal(pid, signal.SIGCONT)

    def at_a_point(self) -> str:
        """Stop whoever reaches a named point, then kill it, kill its whole cluster, or let it sleep for long."""
        name, then = self._next_point()
        seconds = self.dice.choice(STALLS_SECONDS[self.in_haste])
        pid = self._reached(name)
        if not pid:
            self.planned.insert(0, (name, then))  # nobody came by: another time
            return ""
        if then == "stall":
            self.asleep.append((time.monotonic() + seconds, pid))
            return f"at {name}: SIGSTOP {seconds:g} s"
        if then == "kill all":
            self._kill_group(self.fleet.owner(pid))
            return f"at {name}: kill -9 of all"
        _signal(pid, signal.SIGKILL)
        return f"at {name}: kill -9"

    def _next_point(self) -> tuple[str, str]:
        """Return a point and what to do there; each of all there are comes once before any comes again."""
        if not self.planned:
            names = [point[0] for point in POINTS]
            every = [(name, then) for name in names for then in ("kill", "kill all", "stall")]
            self.planned = [(name, then) for name, then in every if then != "stall" or name not in IN_TRANSACTION]
            self.dice.shuffle(self.planned)
        return self.planned.pop()

    def kill_child(self) -> str:
        """Kill a worker, a pusher or a monitor of a cluster, busy or idle."""
        pids = self.fleet.children(self.dice.choice(CLUSTERS))
        if not pids:
            return ""
        _signal(self.dice.choice(pids), signal.SIGKILL)
        return "a process of a cluster: kill -9"

    def kill_cluster(self) -> str:
        """Kill a cluster, or both at once."""
        names = self.dice.choice((CLUSTERS[:1], CLUSTERS[1:], CLUSTERS))
        for name in names:
            self._kill_group(name)
        return "a whole cluster: kill -9" if len(names) == 1 else "both clusters: kill -9"

    def kill_main(self) -> str:
        """Kill the main process of a cluster alone; its guard and workers go on until its keeper notices."""
        _signal(self.fleet.portal.processes[self.dice.choice(CLUSTERS)].pid, signal.SIGKILL)
        return "the main process of a cluster: kill -9"

    def kill_web(self) -> str:
        """Kill the web server with its workers, or one worker of it."""
        if self.dice.random() < 0.5:
            self._kill_group("web")
            return "the web server: kill -9"
        pids = self.fleet.group("web")[1:]
        if pids:
            _signal(self.dice.choice(pids), signal.SIGKILL)
        return "a worker of the web server: kill -9" if pids else ""

    def kill_mirror(self) -> str:
        """Kill the mirror."""
        self._kill_group("mirror")
        return "the mirror: kill -9"

    def kill_gateway(self) -> str:
        """Kill the gateway; a worker starts another one when it needs it."""
        for pid in self.fleet.portal.find_gateways():
            _signal(pid, signal.SIGKILL)
        return "the gateway: kill -9"

    def kill_agent(self) -> str:
        """Kill the agent; the gateway starts another one."""
        for pid in self.fleet.portal.find_agents():
            _signal(pid, signal.SIGKILL)
        return "the agent: kill -9"

    def freeze_agent(self) -> str:
        """Stop the clock of the agent for longer than anybody waits for an answer."""
        pids = self.fleet.portal.find_agents()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
            self.asleep.append((time.monotonic() + FROZEN_SECONDS[self.in_haste], pid))
        return f"the agent: SIGSTOP {FROZEN_SECONDS[self.in_haste]:g} s" if pids else ""

    def stall(self) -> str:
        """Stop the clock of a whole cluster or of one process of it past the retry time of its tasks."""
        name = self.dice.choice(CLUSTERS)
        seconds = self.dice.choice(STALLS_SECONDS[self.in_haste])
        is_one = self.dice.random() < 0.7
        pids = self.fleet.children(name)
        if not pids:
            return ""
        pids = [self.dice.choice(pids)] if is_one else self.fleet.group(name)
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
            self.asleep.append((time.monotonic() + seconds, pid))
        return f"{'a process of a cluster' if is_one else 'a whole cluster'}: SIGSTOP {seconds:g} s"

    def deliver_twice(self) -> str:
        """Deliver messages again, of old and new actions, and to look on and to supervise."""
        ids = [pk for client in self.clients for pk in client.latest(4)]
        again = [(task, pk) for pk in ids for task in ("execute", "execute", "watch")]
        self.fleet.deliver([*again, ("supervise", "portal"), ("supervise", "portal")])
        return "messages delivered twice"

    def crash_database(self) -> str:
        """Have the database server crash, and start it again."""
        assert self.fleet.postgres
        self.fleet.postgres.crash()
        time.sleep(self.dice.uniform(*AWAY_SECONDS))
        self.fleet.postgres.start()
        return "the database server: crash"

    def kill_broker(self) -> str:
        """Kill the broker with all messages in it, and start it again."""
        assert self.fleet.redis
        self.fleet.redis.kill()
        time.sleep(self.dice.uniform(*AWAY_SECONDS))
        self.fleet.redis.start()
        return "the broker: kill -9"

    def fill_disk(self) -> str:
        """Fill the disk of the run directories to the last byte for a while."""
        filler = self.fleet.spool / "filler"
        began = time.monotonic()
        _fill(filler)
        time.sleep(2 * self.dice.uniform(*AWAY_SECONDS))
        filler.unlink()
        self.full_disk.append((began, time.monotonic()))
        return "the disk of the run directories: full"

    def _kill_group(self, name: str) -> None:
        process = self.fleet.portal.processes.get(name)
        if process:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _points(self) -> Path:
        return self.fleet.portal.home / "points"

    def _reached(self, name: str) -> int:
        """Arm a point and return the process that stopped there; 0 if none came by in time."""
        armed = self._points() / name
        armed.touch()
        deadline = time.monotonic() + REACH_SECONDS
        while time.monotonic() < deadline and armed.exists():
            time.sleep(0.02)
        armed.unlink(missing_ok=True)
        for file in self._points().glob(f"{name}.*"):
            file.unlink()
            return int(file.suffix[1:])
        return 0


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while filler.write(b"\0" * size):
                    pass


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
