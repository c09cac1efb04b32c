"""The portal under fault injection: its processes, two clusters among them, its servers, and who starts them again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from autosubmit_portal.management.demo import Autosubmit
from tests.support import postgres, redis_server
from tests.support.postgres import Postgres, PrivateServer
from tests.support.redis_server import RedisServer
from tests.support.services import UNBOUNDED, Portal, processes_with
from tests.support.site_host import PYTHON
from tests.support.stand_in import write_stand_in
from tests.tools.chaos.sites import Site, site

CLUSTERS = ("worker", "worker-2")
LOOK_SECONDS = 0.5
DISK, HOME_DISK = "size=16m,mode=700", "size=96m,mode=700"
DELIVER = """
import json, os
from django_q.tasks import async_task
for task, argument in json.loads(os.environ["MESSAGES"]):
    async_task(f"experiments.tasks.{task}", argument, cluster="portal")
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """Where the rows are, where the messages wait, and how the site is reached.

    The channel `own` is that of the portal's own gateway; the others have two gateways and links that can be cut.
    """

    database: str
    broker: str = "database"
    channel: str = "own"

    @property
    def title(self) -> str:
        parts = [self.database, *([] if self.broker == "database" else [self.broker])]
        return " + ".join([*parts, *([] if self.channel == "own" else [self.channel])])

    @property
    def needs_root(self) -> bool:
        """Whether the site has accounts of its own."""
        return self.channel in ("sudo", "ssh", "websocket")


@dataclass(slots=True)
class Fleet:
    """A portal with two clusters, and the servers that it stands on; None where it has no such server."""

    portal: Portal
    postgres: PrivateServer | None = None
    redis: RedisServer | None = None
    site: Site | None = None
    is_disk_ours: bool = False
    is_home_ours: bool = False
    closing: threading.Event = field(default_factory=threading.Event)
    # Who holds it keeps what has died from being started again.
    keeping: threading.Lock = field(default_factory=threading.Lock)

    @property
    def spool(self) -> Path:
        return self.site.spool if self.site else self.portal.home / "spool"

    @property
    def store(self) -> Path:
        return self.portal.autosubmit.home

    def children(self, name: str) -> list[int]:
        """Return the processes that a cluster's guard has started: workers, pusher and monitor."""
        process = self.portal.processes[name]
        guards = [pid for pid in self.group(name) if _parent(pid) == process.pid]
        return [pid for pid in self.group(name) if _parent(pid) in guards]

    def group(self, name: str) -> list[int]:
        """Return all processes of one of the portal's processes, itself among them."""
        leader = self.portal.processes[name].pid
        every = processes_with("PORTAL_HOME", self.portal.home)
        return sorted(pid for pid in every if _group_of(pid) == leader)

    def owner(self, pid: int) -> str:
        """Return the name of the process of the portal that a process belongs to; blank if none does any more."""
        group = _group_of(pid)
        return next((name for name, process in self.portal.processes.items() if process.pid == group), "")

    def find_gateways(self) -> list[int]:
        """Return the processes of all gateways."""
        if self.site:
            return [process.pid for process in self.site.processes.values()]
        return self.portal.find_gateways()

    def find_agents(self) -> list[int]:
        """Return the agents of all gateways."""
        return self.site.find_agents() if self.site else self.portal.find_agents()

    def deliver(self, messages: Sequence[tuple[str, int | str]]) -> None:
        """Put messages into the broker as anybody who can reach it does; a broker that is away takes none."""
        with suppress(AssertionError):
            self.portal.manage("shell", "--no-imports", "-c", DELIVER, MESSAGES=json.dumps(messages))

    def keep(self) -> None:
        """Start again what has died and end what it left, as `manage.py portal` does, until the fleet is closing."""
        while not self.closing.wait(LOOK_SECONDS):
            with self.keeping:
                self._start_again()

    def _start_again(self) -> None:
        if self.site:
            self.site.keep()
        for name, process in list(self.portal.processes.items()):
            if process.poll() is not None and not self.closing.is_set():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                self.portal.spawn(name)

    def kill(self) -> None:
        """Kill all processes of the portal and its gateways; what is not kept from it starts them again."""
        for process in self.portal.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in self.find_gateways():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def fleet(setup: Setup, home: Path, *, program: Path | None = None, in_haste: bool = False) -> Iterator[Fleet]:
    """Give a running fleet of a setup in a new folder; `program` is Autosubmit, by default the stand-in."""
    home.mkdir()
    with ExitStack() as stack:
        is_home_ours = _mount(home, HOME_DISK, stack)
        python = sys.executable if setup.channel in ("own", "local") else PYTHON
        autosubmit = Autosubmit(program or write_stand_in(home.parent / "bin", python), home.parent / "store")
        portal = Portal(home=home, autosubmit=autosubmit, workers=len(CLUSTERS))
        portal.variables = {
            **UNBOUNDED,
            "DJANGO_SETTINGS_MODULE": "tests.tools.chaos.settings",
            "PORTAL_LOG_LEVEL": "INFO",
        }
        if in_haste:
            portal.variables["CHAOS_HASTE"] = "true"
        made = Fleet(portal, is_home_ours=is_home_ours)
        _give_servers(made, setup, stack)
        portal.autosubmit.prepare()
        portal.set_up()
        stack.callback(portal.tear_down)
        if setup.channel != "own":
            home.parent.chmod(0o755)  # the account of the site has its store there
            made.site = stack.enter_context(site(setup.channel, portal, home.parent / "site"))
        made.spool.mkdir(mode=0o700)
        made.is_disk_ours = _mount(made.spool, DISK, stack)
        if made.site:
            made.site.install()
            made.site.own()
            made.site.keep()
        portal.start()
        keeper = threading.Thread(target=made.keep)
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(made.closing.set)
        yield made


def _give_servers(made: Fleet, setup: Setup, stack: ExitStack) -> None:
    if setup.database == "PostgreSQL":
        made.postgres = stack.enter_context(postgres.private_server())
        made.portal.database_url = Postgres(made.postgres.url).create_database()
    if setup.broker == "Redis":
        made.redis = stack.enter_context(redis_server.server())
        made.portal.variables["PORTAL_BROKER_URL"] = made.redis.url


def _mount(place: Path, disk: str, stack: ExitStack) -> bool:
    """Give a folder a small disk of its own, which only root may; return whether it has one."""
    if os.geteuid() != 0:
        return False
    mount = ["mount", "-t", "tmpfs", "-o", disk, "chaos", str(place)]
    is_ours = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    if is_ours:
        stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
    return is_ours


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(_stat(pid)[1])
    return 0


def _group_of(pid: int) -> int:
    with suppress(OSError):
        return int(_stat(pid)[2])
    return 0
