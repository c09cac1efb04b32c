"""The site of a fleet behind links that can be cut: reached by a channel, from two gateways, one for each cluster."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

from autosubmit_portal.gateway.agent_archive import write_archive
from autosubmit_portal.gateway.channels import make_command
from tests.support.services import Portal
from tests.support.site_host import PYTHON, REPOSITORY, SiteHost, make_key, site_host
from tests.support.tls_proxy import tls_proxy
from tests.tools.chaos.calls import Calls, make_calls

GATEWAYS = ("gateway", "gateway-2")
WRITE_FILES = "from experiments import own_gateway; own_gateway.write_files()"
VERSIONS = "autosubmit_portal/agent/protocol/versions.py"
# Runs the agent, with another time of day for as long as there is a file.
WRONG_CLOCK = """#!/bin/sh
[ -e {folder}/wrong-clock ] || exec {python} "$@"
export LD_PRELOAD={library} FAKETIME={shift} FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1
exec {python} "$@"
"""
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
SHIFTS = ("-2h", "+2h")


@dataclass(slots=True)
class Site:
    """The host of a site and the gateways that reach it, or that its agent `calls`; `host` has the accounts."""

    channel: str
    portal: Portal
    host: SiteHost | None
    folder: Path
    calls: Calls | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    argv: list[str] = field(default_factory=list)

    @property
    def agent(self) -> Path:
        """The link to the agent's file."""
        return self.host.agent if self.host else self.folder / "agent.pyz"

    @property
    def site_file(self) -> Path:
        return self.host.site_file if self.host else self.folder / "site.json"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def known_hosts(self) -> Path | None:
        """The file in which the key of the host is pinned."""
        return Path("/tmp", self.host.gateway, ".ssh", "known_hosts") if self.host and self.channel == "ssh" else None

    @property
    def can_change_clock(self) -> bool:
        """The rule of sudo names the one Python that may be used; who calls is not started by a gateway."""
        return bool(FAKETIME) and self.channel not in ("sudo", "websocket")

    def install(self) -> None:
        """Write all files: what the portal would have written for itself, behind links."""
        self.portal.manage("shell", "--no-imports", "-c", WRITE_FILES)
        own = self.portal.home / "gateway"
        hosts = json.loads((own / "hosts.json").read_text())
        ((name, reached),) = hosts["hosts"].items()
        if not self.host:
            self.agent.symlink_to(write_archive(self.folder))
        allowed = json.loads(Path(reached["site_file"]).read_text())
        self.site_file.write_text(json.dumps(allowed | {"spool": str(self.spool)}))
        self._make_future_agent()
        shutil.copy(Path(__file__).with_name("link.py"), self.folder)
        if self.calls:
            self.calls.install(name, self.folder / "link.py")
        else:
            self.argv = make_command(self._reach())
        for gateway in GATEWAYS:
            place = self.folder / gateway
            place.mkdir()
            sockets = {socket: str(place / socket) for socket in ("reading", "acting")}
            listen = self.calls.listens[gateway] if self.calls else ""
            content = {**hosts, **sockets, "listen": listen, "hosts": {name: self._reach_by_link(place)}}
            (place / "hosts.json").write_text(json.dumps(content))
            if self.host:
                shutil.chown(place, self.host.gateway)
        self.portal.variables["PORTAL_GATEWAY"] = str(self.folder / GATEWAYS[0])
        self.portal.variables_of["worker-2"] = {"PORTAL_GATEWAY": str(self.folder / GATEWAYS[1])}

    def own(self) -> None:
        """Give the store and the run directories to the account of the site."""
        if self.host:
            for place in (self.portal.autosubmit.home, self.spool):
                subprocess.run(["chown", "-R", f"{self.host.site}:", str(place)], check=True)

    def keep(self) -> None:
        """Start the gateways that do not run, and whoever calls them."""
        for name in GATEWAYS:
            if name not in self.processes or self.processes[name].poll() is not None:
                self._start(name)
        if self.calls:
            self.calls.keep()

    def end(self) -> None:
        """Kill the gateways; their agents end by themselves."""
        self.kill_links()
        for process in self.processes.values():
            process.kill()
            process.wait()

    def find_agents(self) -> list[int]:
        """Return the agents, not what starts them."""
        started = [(pid, words) for pid, words in _list_commands() if words[1:2] == ["-I"] and "--to" not in words]
        return [pid for pid, words in started if str(self.site_file) in words]

    def find_links(self) -> list[int]:
        return [pid for pid, words in _list_commands() if words[2:3] == [str(self.folder / "link.py")]]

    def kill_links(self) -> None:
        if self.calls:
            self.calls.kill()
        for pid in self.find_links():
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)

    def cut(self, what: str) -> None:
        """Let nothing pass, or no `answers`."""
        for name in GATEWAYS:
            new = self.folder / name / "cut.new"
            new.write_text(what)
            new.rename(new.with_name("cut"))

    def mend(self) -> None:
        for name in GATEWAYS:
            (self.folder / name / "cut").unlink(missing_ok=True)

    def change_key(self) -> None:
        """Pin another key than the one that the host shows."""
        assert self.known_hosts
        assert self.host
        other = self.folder / "other"
        if not other.exists():
            make_key(other)
        public = other.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"[{self.host.address}]:{self.host.port} {public}")

    def restore_key(self) -> None:
        assert self.known_hosts
        assert self.host
        public = (self.host.folder / "host_key.pub").read_text()
        self.known_hosts.write_text(f"[{self.host.address}]:{self.host.port} {public}")

    def use_agent(self, file: Path) -> Path:
        """Have this agent started from now on; return the one of before."""
        before = self.agent.readlink()
        new = self.agent.with_name("agent.new")
        new.symlink_to(file)
        new.rename(self.agent)
        return before

    @property
    def future_agent(self) -> Path:
        """An agent that speaks no version of the protocol that the gateway knows."""
        return self.folder / "future.pyz"

    @property
    def wrong_clock(self) -> Path:
        """The file with which agents are started two hours off."""
        return self.folder / "wrong-clock"

    def _make_future_agent(self) -> None:
        with zipfile.ZipFile(self.agent) as now, zipfile.ZipFile(self.future_agent, "w") as future:
            for name in now.namelist():
                data = now.read(name)
                if name == VERSIONS:
                    data += b"\nOURS = Versions((9, 0), (9, 0))\n"
                future.writestr(name, data)
        self.future_agent.chmod(0o444)

    def _reach_by_link(self, place: Path) -> dict[str, Any]:
        """Return the host in the file of a gateway."""
        if self.calls:
            return self.calls.host.reach(self.channel)
        link = [PYTHON, "-IS", str(self.folder / "link.py"), str(place / "cut"), *self.argv]
        return {"channel": "command", "argv": link}

    def _reach(self) -> dict[str, Any]:
        if self.host:
            reached = self.host.reach(self.channel)
            return reached | ({"python": str(self._wrap_python(PYTHON))} if self.channel == "ssh" else {})
        python = self._wrap_python(sys.executable)
        return {"channel": "local", "agent": str(self.agent), "site_file": str(self.site_file), "python": str(python)}

    def _wrap_python(self, python: str) -> Path:
        wrapper = self.folder / "python"
        text = WRONG_CLOCK.format(folder=self.folder, python=python, library=FAKETIME, shift=SHIFTS[0])
        wrapper.write_text(text)
        wrapper.chmod(0o755)
        return wrapper

    def _start(self, name: str) -> None:
        usual = {"cwd": "/", "env": {"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY)}}
        how: dict[str, Any] = self.host.as_gateway() if self.host else usual
        python = PYTHON if self.host else sys.executable
        with (self.portal.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [python, "-m", "autosubmit_portal.gateway", str(self.folder / name / "hosts.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **how,
            )


@contextmanager
def site(channel: str, portal: Portal, folder: Path) -> Iterator[Site]:
    """Give the site of a portal behind links; its gateways are killed at the end. Needs root but for local."""
    with ExitStack() as stack:
        host = stack.enter_context(site_host()) if channel != "local" else None
        folder.mkdir(mode=0o755)
        made = Site(channel, portal, host, folder)
        if host and channel == "websocket":
            made.calls = make_calls(host, folder, GATEWAYS)
            routes, proxy = made.calls.routes, folder / "proxy"
            made.calls.proxy = stack.enter_context(tls_proxy(proxy, host.proxy.address, routes))
        stack.callback(made.end)
        yield made


def _list_commands() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
