"""Several hosts of one portal, and hosts of sites apart from them, as namespaces on one file system.

Each has PIDs, a network and a name of its own. The portal hosts share PostgreSQL and Redis, by sockets that are files;
each has its own home, web server, worker, mirror and gateway.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from autosubmit_portal.gateway.agent_archive import write_archive
from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import make_commands
from experiments.catalogue.kinds import CATALOGUE
from tests.support.door import KNOCK
from tests.support.namespace_host import NamespaceHost, find_children, namespace_host
from tests.support.services import Portal, collected_static_files
from tests.support.site_host import REPOSITORY
from tests.support.waiting import PATIENCE, wait_for

_DOOR = Path(__file__).with_name("door.py")
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the hosts of a portal have in common: the servers, and how each host of a site is reached, by its name."""

    database_url: str
    broker_url: str
    sites: Mapping[str, Sequence[str]]
    portal_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class PortalHost(Portal):
    """One host of a portal."""

    namespaces: NamespaceHost = field(kw_only=True)
    address: str = field(kw_only=True)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def make_commands(self) -> dict[str, list[str]]:
        commands = make_commands(self.address, self.port)
        hosts_file = self.home / "ours" / "hosts.json"
        commands["gateway"] = [sys.executable, "-P", "-m", "autosubmit_portal.gateway", str(hosts_file)]
        return {name: self.namespaces.inside(*command) for name, command in commands.items()}

    def join(self, first: "PortalHost") -> None:
        """Have the keys and the first account of another host of the same portal."""
        for name in ("secret_key", "audit_key", "credentials"):
            if (first.home / name).exists():
                shutil.copy(first.home / name, self.home)
        self.credentials = first.credentials

    def stop(self, *names: str) -> None:
        """Stop the processes named, by default all: what is signalled is what runs there, not who has entered."""
        for name in names or tuple(self.processes):
            for pid in find_children(self.processes[name].pid):
                os.kill(pid, signal.SIGTERM)
        for name in names or tuple(self.processes):
            self.processes.pop(name).wait(PATIENCE)

    def cut_power(self) -> None:
        """Kill -9 whatever runs on the host; what is off stays off."""
        if not self.processes:  # the number may be that of another process by now
            return
        os.kill(self.namespaces.pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()


@contextmanager
def portal_host(
    name: str, home: Path, autosubmit: Autosubmit, shared: Shared, **variables: str
) -> Iterator[PortalHost]:
    """Lend a host of a portal on which nothing runs yet."""
    home.mkdir()
    (home / "static").symlink_to(collected_static_files())
    gateway = home / "ours"  # in the folder of the portal's own gateway the portal would write the files itself
    gateway.mkdir(mode=0o700)
    hosts = {site: {"channel": "command", "argv": [*argv]} for site, argv in shared.sites.items()}
    sockets = {socket: str(gateway / socket) for socket in ("reading", "acting")}
    (gateway / "hosts.json").write_text(json.dumps({"portal": shared.portal_id, **sockets, "hosts": hosts}))
    ours = {
        "PORTAL_BROKER_URL": shared.broker_url,
        "PORTAL_GATEWAY": str(gateway),
        "PYTHONPATH": str(REPOSITORY),  # who enters a namespace is in no folder of ours
    }
    with namespace_host(name) as namespaces, _network_of(namespaces) as address:
        made = PortalHost(home, autosubmit, shared.database_url, port=8000, namespaces=namespaces, address=address)
        made.variables = {**ours, "PORTAL_ALLOWED_HOSTS": address, **variables}
        try:
            yield made
        finally:
            made.cut_power()


@contextmanager
def site_door(host: NamespaceHost, autosubmit: Autosubmit, folder: Path) -> Iterator[Sequence[str]]:
    """Let agents in at a host of a site; lend the command that reaches one from any other host."""
    folder.mkdir()
    allowed: dict[str, Any] = {
        "program": str(autosubmit.program),
        "spool": str(folder / "spool"),
        "umask": "0022",
        "kinds": {kind.name: kind.first_words for kind in CATALOGUE.values()},
        "profiles": {"usual": autosubmit.environment},
        "home": str(autosubmit.home),
    }
    site_file, place = folder / "site.json", folder / "door"
    site_file.write_text(json.dumps(allowed))
    agent = [sys.executable, "-I", str(write_archive(folder)), str(site_file)]
    command = host.inside(sys.executable, "-IS", str(_DOOR), str(place), *agent)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(place.exists)
            yield [sys.executable, "-IS", "-c", KNOCK, str(place)]
        finally:
            process.kill()


@contextmanager
def _network_of(host: NamespaceHost) -> Iterator[str]:
    """Link a host with this one; lend its address."""
    number = next(_numbers)
    link, net = f"ap{os.getpid()}p{number}", f"100.{64 + number % 64}.{os.getpid() // 64 % 256}"
    near, far = (f"{net}.{os.getpid() % 64 * 4 + last}" for last in (1, 2))
    with ExitStack() as stack:
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", "far", "netns", str(host.pid))
        stack.callback(subprocess.run, ["ip", "link", "del", link], check=False, capture_output=True)
        _run("ip", "address", "add", f"{near}/30", "dev", link)
        _run("ip", "link", "set", link, "up")
        _run(*host.inside("ip", "address", "add", f"{far}/30", "dev", "far"))
        for name in ("lo", "far"):
            _run(*host.inside("ip", "link", "set", name, "up"))
        yield far


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
