"""A host of a site as docs/operations.md sets it up: three Unix accounts, the rule of sudo, a real sshd, a real proxy.

The sshd, and the agent that calls through the proxy, are in a network namespace of their own, where that can be had, so
that its link can be cut.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
import websockets

from autosubmit_portal.gateway.agent_archive import write_archive
from autosubmit_portal.gateway.channels import digest_token
from tests.support.services import free_port
from tests.support.tls_proxy import TlsProxy, tls_proxy
from tests.support.unix_accounts import change_accounts, new_accounts, processes_of, sudoers
from tests.support.waiting import wait_for

CHANNELS = ("local", "sudo", "ssh", "websocket")
AGENTS_PATH = "/portal/x/agent/"
REPOSITORY = Path(__file__).resolve().parents[2]
OPERATIONS = REPOSITORY / "docs" / "operations.md"
SSHD = Path("/usr/sbin/sshd")
# What every Debian has; the accounts may not see the one that runs the tests.
PYTHON = "/usr/bin/python3"
_numbers = count(1)
SSHD_CONFIG = """
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys/%u
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
LogLevel VERBOSE
"""


@dataclass(frozen=True, slots=True)
class SiteHost:
    """The accounts, the programs, and where the sshd listens; `folder` is root's and can be read by all.

    The gateway is to listen for agents at `listen`, which the proxy passes on.
    """

    folder: Path
    portal: str
    gateway: str
    site: str
    agent: Path
    site_file: Path
    address: str
    port: int
    namespace: str
    listen: str
    proxy: TlsProxy

    def reach(self, channel: str, **changes: Any) -> dict[str, Any]:
        """Return the host in the file of hosts, by one of the channels."""
        if channel == "websocket":
            return {"channel": channel, "tokens": [digest_token(self.token_file.read_text())]} | changes
        site_file = self.site_file.with_name("local.json") if channel == "local" else self.site_file
        agent = {"channel": channel, "agent": str(self.agent), "site_file": str(site_file)}
        secrets = Path("/tmp") / self.gateway / ".ssh"
        ssh = {
            "destination": f"{self.site}@{self.address}",
            "port": self.port,
            "known_hosts": str(secrets / "known_hosts"),
            "identity_file": str(secrets / "key"),
        }
        needed: tuple[dict[str, Any], ...] = ({"python": PYTHON}, {"account": self.site}, ssh)
        return agent | needed[CHANNELS.index(channel)] | changes

    def as_gateway(self) -> dict[str, Any]:
        """Return how subprocess runs something as the gateway's account."""
        return {
            "user": self.gateway,
            "group": self.gateway,
            "extra_groups": (),
            "cwd": "/",
            "env": {"PATH": os.defpath, "HOME": f"/tmp/{self.gateway}", "PYTHONPATH": str(self.folder / "program")},
        }

    @property
    def token_file(self) -> Path:
        """The token of the agent that calls, which the account of the site may read."""
        return Path("/tmp") / self.site / "token"

    def make_call(self, proxy: TlsProxy, *paths: str, name: str = "here") -> list[str]:
        """Return what root starts so that the account of the site calls these paths of a proxy from its network."""
        become = ("setpriv", f"--reuid={self.site}", f"--regid={self.site}", "--init-groups", "--")
        agent = (PYTHON, "-I", str(self.agent), str(self.site_file))
        options = [part for path in paths for part in ("--to", proxy.make_url(path))]
        options += ["--host", name, "--token-file", str(self.token_file), "--ca-file", str(proxy.certificate)]
        return [*_inside(self.namespace), *become, *agent, *options]

    @contextmanager
    def calling(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Have the agent call, through the proxy."""
        with subprocess.Popen(self.make_call(self.proxy, AGENTS_PATH), cwd="/", env={}) as process:
            try:
                yield process
            finally:
                process.kill()

    def find_agents(self) -> list[int]:
        """Return the processes of agents, of the gateway's account too; none that only calls for them."""
        found = {pid: _read_command(pid) for pid in (*processes_of(self.site), *processes_of(self.gateway))}
        pythons = ([PYTHON], ["python3"])  # the second where a login says which it is
        agents = {pid: words for pid, words in found.items() if words[:1] in pythons and str(self.agent) in words}
        return [pid for pid, words in agents.items() if "--to" not in words]

    def find_agent(self) -> int:
        """Return the only agent, when those of earlier gateways have ended."""
        (agent,) = wait_for(self.find_agents, is_enough=lambda found: len(found) == 1)
        return agent

    def count_sessions(self) -> int:
        """Return how often somebody has signed in."""
        return (self.folder / "sshd.log").read_text().count("Accepted publickey")

    def use_link(self, *, up: bool) -> None:
        """Cut or mend the link at its far end, so that the near one hears nothing of it."""
        if not self.namespace:
            pytest.skip("no network namespace can be made here, so that no link can be cut")
        _run(*_inside(self.namespace), "ip", "link", "set", "far", "up" if up else "down")


def read_rule() -> str:
    """Return the rule of sudo in docs/operations.md."""
    found = re.search(r"```sudoers\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert found
    return found[1]


@contextmanager
def site_host() -> Iterator[SiteHost]:
    """Lend such a host; skip where accounts cannot be made or there is no sshd."""
    if not SSHD.exists():
        pytest.skip("needs the package openssh-server")
    number = next(_numbers)  # one process of tests may have several at a time
    portal, gateway, site = (f"ap{what}{os.getpid()}x{number}" for what in ("portal", "gate", "site"))
    folder = Path(f"/tmp/aphost{os.getpid()}x{number}")
    with ExitStack() as stack:
        stack.enter_context(new_accounts(portal, gateway, site))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(mode=0o755)
        namespace, near, address = stack.enter_context(_network(number))
        agent, site_file = _install(folder, site=site, local=gateway)
        port = 2222 if namespace else free_port()
        listen = f"127.0.0.1:{free_port()}"
        proxy = stack.enter_context(tls_proxy(folder / "proxy", near, {AGENTS_PATH: listen}))
        made = SiteHost(folder, portal, gateway, site, agent, site_file, address, port, namespace, listen, proxy)
        rule = read_rule().replace("/opt/autosubmit-portal/agent.pyz", f"{agent} {site_file}")
        rule = rule.replace("autosubmit-gateway", gateway).replace("(autosubmit)", f"({site})")
        stack.enter_context(sudoers(gateway, rule))
        for name in (portal, gateway):
            (Path("/tmp") / name).chmod(0o700)
        _make_keys(made)
        stack.enter_context(_sshd(made))
        yield made


def _install(folder: Path, **accounts: str) -> tuple[Path, Path]:
    """Install what root owns: the gateway, the agent, and what the site allows."""
    for name in ("agent", "gateway"):
        shutil.copytree(
            REPOSITORY / "autosubmit_portal" / name,
            folder / "program" / "autosubmit_portal" / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    (folder / "program" / "autosubmit_portal" / "__init__.py").touch()
    shutil.copy(REPOSITORY / "autosubmit_portal" / "sentences.py", folder / "program" / "autosubmit_portal")
    shutil.copytree(Path(websockets.__file__).parent, folder / "program" / "websockets")
    for name, account in accounts.items():
        allowed: dict[str, Any] = {
            "program": "/bin/sh",
            "spool": f"/tmp/{account}/spool",
            "umask": "0022",
            "kinds": {"run": ["-c"]},
            "profiles": {"usual": {"SITE": "es"}},
        }
        (folder / f"{name}.json").write_text(json.dumps(allowed))
    agent = folder / "agent.pyz"
    agent.symlink_to(write_archive(folder).name)
    _run("chmod", "-R", "go=rX", str(folder))
    return agent, folder / "site.json"


@contextmanager
def _network(number: int) -> Iterator[tuple[str, str, str]]:
    """Lend a network namespace, our address and the one in it; none and that of this host where it cannot be made."""
    namespace = f"ap{os.getpid()}x{number}"
    net = f"198.{18 + number % 2}.{os.getpid() // 64 % 256}"
    near, far = (f"{net}.{os.getpid() % 64 * 4 + last}" for last in (1, 2))
    made = subprocess.run(["ip", "netns", "add", namespace], check=False, capture_output=True)
    if made.returncode:
        yield "", "127.0.0.1", "127.0.0.1"
        return
    try:
        _run("ip", "link", "add", namespace, "type", "veth", "peer", "name", "far", "netns", namespace)
        _run("ip", "address", "add", f"{near}/30", "dev", namespace)
        _run("ip", "link", "set", namespace, "up")
        _run(*_inside(namespace), "ip", "address", "add", f"{far}/30", "dev", "far")
        _run(*_inside(namespace), "ip", "link", "set", "far", "up")
        yield namespace, near, far
    finally:
        subprocess.run(["ip", "link", "del", namespace], check=False, capture_output=True)
        _run("ip", "netns", "del", namespace)


def _make_keys(host: SiteHost) -> None:
    """Make the key of the host and that of the gateway, let each know the other, and make the token of the agent."""
    secrets = Path("/tmp") / host.gateway / ".ssh"
    secrets.mkdir(mode=0o700)
    make_key(host.folder / "host_key")
    make_key(secrets / "key")
    public = (host.folder / "host_key.pub").read_text()
    (secrets / "known_hosts").write_text(f"[{host.address}]:{host.port} {public}")
    for file in (secrets, *secrets.iterdir()):
        shutil.chown(file, host.gateway, host.gateway)
    host.token_file.write_text(token_urlsafe(32))
    host.token_file.chmod(0o400)
    shutil.chown(host.token_file, host.site, host.site)
    allow_key(host, (secrets / "key.pub").read_text())
    change_accounts("usermod", "--password", "*", host.site)  # without PAM sshd refuses who is locked


def make_key(file: Path) -> None:
    """Make a key."""
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file))


def allow_key(host: SiteHost, line: str) -> None:
    """Let whoever has a key sign in as the site's account, as the line says, and nobody else."""
    folder = host.folder / "authorized_keys"
    folder.mkdir(exist_ok=True)
    (folder / host.site).write_text(line)


@contextmanager
def _sshd(host: SiteHost) -> Iterator[None]:
    Path("/run/sshd").mkdir(exist_ok=True)
    config, log = host.folder / "sshd_config", host.folder / "sshd.log"
    config.write_text(f"{SSHD_CONFIG.format(folder=host.folder, port=host.port)}ListenAddress {host.address}\n")
    command = [*_inside(host.namespace), str(SSHD), "-D", "-f", str(config), "-E", str(log)]
    with subprocess.Popen(command) as process:
        try:
            wait_for(lambda: log.exists() and "listening" in log.read_text())
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _inside(namespace: str) -> Sequence[str]:
    return ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _read_command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []
