"""An agent that calls both gateways, through a real proxy and links that can be cut; who dies is started again."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.services import free_port
from tests.support.site_host import PYTHON, SiteHost
from tests.support.tls_proxy import TlsProxy


@dataclass(slots=True)
class Calls:
    """The proxy passes a path for each gateway on to its link, and each link to where its gateway listens."""

    host: SiteHost
    folder: Path
    listens: dict[str, str]
    links: dict[str, str]
    proxy: TlsProxy | None = None
    commands: dict[str, list[str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def routes(self) -> dict[str, str]:
        """What the proxy has to pass on."""
        return {f"/{gateway}/": link for gateway, link in self.links.items()}

    def install(self, name: str, link: Path) -> None:
        """Decide what is started for a host of this name."""
        assert self.proxy
        self.commands = {
            gateway: [PYTHON, "-IS", str(link), str(self.folder / gateway / "cut"), "--tcp", here, listen]
            for (gateway, here), listen in zip(self.links.items(), self.listens.values(), strict=True)
        }
        self.commands["agent"] = self.host.make_call(self.proxy, *self.routes, name=name)

    def keep(self) -> None:
        """Start what does not run."""
        for name, command in self.commands.items():
            if name not in self.processes or self.processes[name].poll() is not None:
                self.processes[name] = subprocess.Popen(command, cwd="/", env={}, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill all."""
        for process in list(self.processes.values()):
            process.kill()
            process.wait()


def make_calls(host: SiteHost, folder: Path, gateways: tuple[str, ...]) -> Calls:
    """Return them, on ports that are free."""
    listens, links = ({gateway: f"127.0.0.1:{free_port()}" for gateway in gateways} for _ in range(2))
    return Calls(host, folder, listens, links)
