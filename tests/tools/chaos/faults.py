"""The faults: each does its damage to real processes, files and servers, and says what it did."""

import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools.chaos import restoring
from tests.tools.chaos.client import Client
from tests.tools.chaos.fleet import CLUSTERS, Fleet
from tests.tools.chaos.points import IN_TRANSACTION, POINTS
from tests.tools.chaos.sites import Site

AWAY_SECONDS = (0.3, 2.5)
# Longer than the broker waits before it delivers again; and longer than an action is waited for before it is lost.
# The gateway leaves an agent that is silent for 20 s.
FROZEN_SECONDS = {True: 25.0, False: 60.0}
STALLS_SECONDS = {True: (8.0, 14.0), False: (8.0, 50.0, 110.0)}
CUT_SECONDS = (1.0, 60.0)
# Longer than a gateway pauses between two tries, until it has failed often.
STRANGE_SECONDS = (5.0, 20.0)
REACH_SECONDS = 10.0
# Of yesterday, as fast as an ordeal goes.
BACKUP_SECONDS = (10.0, 40.0)
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Faults:
    """Does faults at random, counts them, and keeps what it must undo later."""

    fleet: Fleet
    clients: list[Client]
    dice: random.Random
    in_haste: bool
    counts: Counter[str] = field(default_factory=Counter)
    full_disk: list[tuple[float, float]] = field(default_factory=list)
    later: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    rebooted: set[str] = field(default_factory=set)
    planned: list[tuple[str, str]] = field(default_factory=list)
    backup: Path | None = None
    forgotten: restoring.Forgotten = field(default_factory=restoring.Forgotten)

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
        if not self.backup:
            kinds[self.lose_database] = 4
        if self.fleet.is_disk_ours:
            kinds[self.fill_disk] = 5
        if self.fleet.is_home_ours:
            kinds[self.fill_home] = 3
        if self.fleet.site:
            kinds |= self._kinds_of_site(self.fleet.site)
        if self.fleet.postgres:
            kinds[self.crash_database] = 7
        if self.fleet.redis:
            kinds[self.kill_broker] = 7
        return kinds

    def _kinds_of_site(self, site: Site) -> dict[Callable[[], str], int]:
        kinds: dict[Callable[[], str], int] = {
            self.cut_link: 8,
            self.kill_link: 6,
            self.change_agent: 4,
            self.restart_host: 5,
        }
        if site.known_hosts:
            kinds[self.change_key] = 6
        if site.can_change_clock:
            kinds[self.change_clock] = 4
        return kinds

    def do_one(self) -> None:
        """Do one fault, and undo what is due."""
        self.undo_what_is_due(time.monotonic())
        fault = self.dice.choices(list(self.kinds), list(self.kinds.values()))[0]
        said = fault()
        if said:
            self.counts[said] += 1

    def undo(self) -> None:
        """End what still lasts: points that are armed, processes that are stopped."""
        for file in self._points().iterdir():
            file.unlink(missing_ok=True)
        self.undo_what_is_due(float("inf"))

    def undo_what_is_due(self, until: float) -> None:
        """Let processes go on and links pass on whose time has come."""
        for due in sorted((due for due in self.later if due[0] <= until), key=lambda due: due[0]):
            self.later.remove(due)
            due[1]()

    def at_a_point(self) -> str:
        """Stop whoever reaches a named point, then kill it, kill its whole cluster, or let it sleep for long."""
        name, then = self._next_point()
        seconds = self.dice.choice(STALLS_SECONDS[self.in_haste])
        pid = self._reached(name)
        if not pid:
            self.planned.insert(0, (name, then))  # nobody came by: another time
            return ""
        if then == "stall":
            self._wake_later(seconds, pid)
            return f"at {name}: SIGSTOP {seconds:g} s"
        if then.startswith("cut"):
            said = self._cut(then.removeprefix("cut "), self.dice.choice(CUT_SECONDS))
            _signal(pid, signal.SIGCONT)
            return f"at {name}: {said}"
        if then == "kill all":
            self._kill_group(self.fleet.owner(pid))
            return f"at {name}: kill -9 of all"
        _signal(pid, signal.SIGKILL)
        return f"at {name}: kill -9"

    def _next_point(self) -> tuple[str, str]:
        """Return a point and what to do there; each of all there are comes once before any comes again."""
        if not self.planned:
            names = [point[0] for point in POINTS]
            cuts = ("cut all", "cut answers") if self.fleet.site else ()
            every = [(name, then) for name in names for then in ("kill", "kill all", "stall", *cuts)]
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
        pids = self.fleet.find_gateways()
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        return "the gateway: kill -9" if pids else ""

    def kill_agent(self) -> str:
        """Kill the agent; the gateway starts another one."""
        pids = self.fleet.find_agents()
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        return "the agent: kill -9" if pids else ""

    def freeze_agent(self) -> str:
        """Stop the clock of the agent for longer than anybody waits for an answer."""
        pids = self.fleet.find_agents()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
            self._wake_later(FROZEN_SECONDS[self.in_haste], pid)
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
            self._wake_later(seconds, pid)
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

    def lose_database(self) -> str:
        """Make a backup, and lose the database a while later, with all that was done since."""
        self.backup = self.fleet.portal.home.parent / "backup"
        restoring.back_up(self.fleet, self.backup)
        self.later.append((time.monotonic() + self.dice.uniform(*BACKUP_SECONDS), self._restore))
        return "the database: lost, and restored from a backup"

    def kill_broker(self) -> str:
        """Kill the broker with all messages in it, and start it again."""
        assert self.fleet.redis
        self.fleet.redis.kill()
        time.sleep(self.dice.uniform(*AWAY_SECONDS))
        self.fleet.redis.start()
        return "the broker: kill -9"

    def fill_disk(self) -> str:
        """Fill the disk of the run directories to the last byte for a while."""
        began = time.monotonic()
        self._fill(self.fleet.spool)
        self.full_disk.append((began, time.monotonic()))
        return "the disk of the run directories: full"

    def fill_home(self) -> str:
        """Fill the disk of the portal, with its database if that is a file."""
        self._fill(self.fleet.portal.home)
        return "the disk of the portal: full"

    def cut_link(self) -> str:
        """Let the links pass on nothing, or no answers, for a while."""
        return self._cut(self.dice.choice(("all", "answers")), self.dice.choice(CUT_SECONDS))

    def kill_link(self) -> str:
        """Kill the processes that are the channels."""
        self._site.kill_links()
        return "the channels: kill -9"

    def change_agent(self) -> str:
        """Have an agent of another version at the site for a while, which no gateway understands."""
        before = self._site.use_agent(self._site.future_agent)
        self._end_later(self.dice.uniform(*STRANGE_SECONDS), lambda: self._site.use_agent(before))
        return "the agent: of another version"

    def change_key(self) -> str:
        """Have the host show another key than is pinned, for a while."""
        self._site.change_key()
        self._end_later(self.dice.uniform(*STRANGE_SECONDS), self._site.restore_key)
        return "the key of the host: changed"

    def change_clock(self) -> str:
        """Have an agent whose time of day is two hours off for a while."""
        self._site.wrong_clock.touch()
        self._end_later(60.0, lambda: self._site.wrong_clock.unlink(missing_ok=True))
        return "the clock of the agent: 2 h wrong"

    def restart_host(self) -> str:
        """End all commands as a restart of their host does: no exit status, and the run directories are of before."""
        another = str(uuid.UUID(int=self.dice.getrandbits(128)))
        for folder in self.fleet.spool.glob("*/*"):
            self.rebooted |= _restart(folder, another)
        return "the host: restarted"

    @property
    def _site(self) -> Site:
        assert self.fleet.site
        return self.fleet.site

    def _cut(self, what: str, seconds: float) -> str:
        self._site.cut(what)
        self.later.append((time.monotonic() + seconds, self._site.mend))
        return f"the link: {'cut' if what == 'all' else 'no answers'} {seconds:g} s"

    def _restore(self) -> None:
        assert self.backup
        self.forgotten = restoring.restore(self.fleet, self.backup)

    def _end_later(self, seconds: float, undo: Callable[[], object]) -> None:
        """Have new channels opened now, and again when what is strange has ended."""
        self._site.kill_links()

        def end() -> None:
            undo()
            self._site.kill_links()

        self.later.append((time.monotonic() + seconds, end))

    def _wake_later(self, seconds: float, pid: int) -> None:
        self.later.append((time.monotonic() + seconds, lambda: _signal(pid, signal.SIGCONT)))

    def _fill(self, folder: Path) -> None:
        filler = folder / "filler"
        _fill(filler)
        time.sleep(2 * self.dice.uniform(*AWAY_SECONDS))
        filler.unlink()

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


def _restart(folder: Path, boot: str) -> set[str]:
    """End a command and its launcher, and have both files that name the boot name another one; return its key."""
    pid = folder / "pid"
    with suppress(OSError, ValueError):
        if (folder / "exit_status").exists():
            return set()
        words = pid.read_text().split()
        if len(words) == 5:  # it has started
            os.killpg(int(words[0]), signal.SIGKILL)
            ours = BOOT.read_text().strip()
            for file in (pid, folder / "request"):
                file.write_text(file.read_text().replace(ours, boot))
            return {folder.name}
    return set()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while filler.write(b"\0" * size):
                    pass


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
