"""An agent that calls its gateways: all of them, whatever happens to them, and nobody else."""

import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from autosubmit_portal.agent.connector import LONGEST_PAUSE_SECONDS, Credentials, Link
from autosubmit_portal.gateway.agent_archive import write_archive
from tests.agent.agents import find_pythons, write_site_file
from tests.gateway.callers import HOSTS, OTHER_TOKEN, TOKEN
from tests.gateway.gateways import RunningGateway, gateway
from tests.support.services import free_port
from tests.support.site_host import AGENTS_PATH, PYTHON, SiteHost
from tests.support.waiting import PATIENCE, wait_for

# Runs the agent where one name has the addresses that a file tells, and is looked up often.
SEVERAL_ADDRESSES = """
import runpy, socket, sys
from pathlib import Path
archive, addresses = sys.argv[1:3]
sys.argv = [archive, *sys.argv[3:]]
sys.path.insert(0, archive)
from autosubmit_portal.agent import connector
connector.LOOK_UP_SECONDS = connector.FIRST_LOOK_UP_SECONDS = 0.1
look_up = socket.getaddrinfo
def look_up_here(host, port, *how, **options):
    if host != "gateways.test":
        return look_up(host, port, *how, **options)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in Path(addresses).read_text().split()]
socket.getaddrinfo = look_up_here
runpy.run_path(archive, run_name="__main__")
"""


@dataclass
class Site:
    """What an agent needs that calls."""

    folder: Path
    agent: Path
    site_file: Path
    token_file: Path

    def make_command(self, *gateways: str, python: str = sys.executable) -> list[str]:
        """Return the command that calls these gateways."""
        to = [part for url in gateways for part in ("--to", url)]
        options = [*to, "--host", "here", "--token-file", str(self.token_file), "--without-tls"]
        return [python, "-I", str(self.agent), str(self.site_file), *options]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Lend the files of an agent."""
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    return Site(tmp_path, write_archive(tmp_path / "agents"), write_site_file(tmp_path), token_file)


@contextmanager
def running(command: list[str], **how: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run an agent that calls."""
    with subprocess.Popen(command, **how) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def gateway_at(listen: str, site: Site) -> Iterator[RunningGateway]:
    """Lend a gateway that listens there."""
    folder = site.folder / listen
    folder.mkdir(exist_ok=True)
    with gateway(folder, HOSTS, listen=listen) as made:
        yield made


def test_every_gateway_is_called_and_gets_an_agent_of_its_own(site: Site) -> None:
    listens = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    with ExitStack() as stack:
        gateways = [stack.enter_context(gateway_at(listen, site)) for listen in listens]
        stack.enter_context(running(site.make_command(*(f"ws://{listen}/x/agent/" for listen in listens))))
        for made in gateways:
            made.wait_for_host()
        gateways[0].start("-c", "exit 7")
        assert gateways[0].wait_for_end()["exit_status"] == gateways[1].wait_for_end()["exit_status"] == 7


def test_each_address_of_a_name_is_called_for_as_long_as_it_has_it(site: Site) -> None:
    port, addresses = free_port(), site.folder / "addresses"
    addresses.write_text("127.0.0.1")
    command = site.make_command(f"ws://gateways.test:{port}/x/agent/")
    command[:2] = [sys.executable, "-c", SEVERAL_ADDRESSES]
    command.insert(4, str(addresses))
    with ExitStack() as stack:
        first, second = (stack.enter_context(gateway_at(f"127.0.0.{last}:{port}", site)) for last in (1, 2))
        stack.enter_context(running(command))
        first.wait_for_host()
        assert not second.describe()["is_connected"]
        addresses.write_text("127.0.0.2")
        second.wait_for_host()
        assert first.describe()["is_connected"]


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)
def test_any_python_calls_with_what_is_in_the_file_of_the_agent(site: Site, python: str) -> None:
    listen = f"127.0.0.1:{free_port()}"
    command = site.make_command(f"ws://{listen}/x/agent/", python=python)
    with gateway_at(listen, site) as made, running([command[0], "-S", *command[1:]]):
        made.wait_for_host()


def test_a_token_is_waited_for_and_read_at_each_attempt(site: Site) -> None:
    site.token_file.unlink()
    listen, log = f"127.0.0.1:{free_port()}", site.folder / "log"
    command = site.make_command(f"ws://{listen}/x/agent/")
    with gateway_at(listen, site) as made, log.open("w") as errors, running(command, stderr=errors):
        wait_for(lambda: "No such file or directory" in log.read_text())
        site.token_file.write_text(f"Bearer {TOKEN}")
        wait_for(lambda: "must hold a token of at least 32 characters" in log.read_text())
        site.token_file.write_text(OTHER_TOKEN)
        wait_for(lambda: "The answer is 403. The token is that of another host." in log.read_text())
        site.token_file.write_text(TOKEN)
        made.wait_for_host()
    assert TOKEN not in log.read_text()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["--to", "ws://portal.example.org/x/agent/"], "must begin with wss://"),
        (["--to", "wss://portal.example.org/x/agent/?token=a"], "must have neither an account nor a query"),
        (["--to", "wss://ana:secret@portal.example.org/"], "must have neither an account nor a query"),
        (["--to", "https://portal.example.org/"], "--to: https://portal.example.org/ isn't a valid URI"),
        (["--to", "wss://portal.example.org/", "--host", "a/b"], "'a/b' is no name of a host"),
        (["--to", "wss://portal.example.org/", "--host", ""], "--to needs --host and --token-file"),
    ],
)
def test_what_cannot_be_called_is_refused(site: Site, changes: list[str], reason: str) -> None:
    command = [part for part in site.make_command() if part != "--without-tls"]
    done = subprocess.run([*command, *changes], check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode
    assert reason in done.stderr


def test_a_file_of_the_site_that_cannot_be_used_ends_it(site: Site) -> None:
    site.site_file.write_text("{}")
    command = site.make_command("ws://127.0.0.1:1/x/agent/")
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, "cannot be used" in done.stderr) == (1, True)


def test_the_pauses_between_calls_grow_to_a_minute_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link("wss://127.0.0.1:1/here", "127.0.0.1", Credentials("here", Path("/nonexistent/token")), [])
    pauses: list[float] = []

    def note(seconds: float) -> None:
        pauses.append(seconds)
        link.is_wanted = len(pauses) < 20

    monkeypatch.setattr(time, "sleep", note)
    link.run()
    assert pauses[0] < 1
    assert all(LONGEST_PAUSE_SECONDS / 2 <= pause <= 1.5 * LONGEST_PAUSE_SECONDS for pause in pauses[8:])
    assert len({*pauses[8:]}) > 1


class Connect(BaseRequestHandler):
    """A proxy of HTTP: it notes whom it connects, and passes bytes on."""

    connected: list[str]

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(1)
        target = head.split()[1].decode()
        self.connected.append(target)
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as other, suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                for ready in select.select([self.request, other], [], [])[0]:
                    data = ready.recv(1 << 16)
                    (other if ready is self.request else self.request).sendall(data)
                    if not data:
                        return


def test_a_proxy_of_the_environment_is_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    listen, connected = f"127.0.0.1:{free_port()}", list[str]()
    monkeypatch.setattr(Connect, "connected", connected, raising=False)
    command = site.make_command(f"ws://{listen}/x/agent/")
    with ThreadingTCPServer(("127.0.0.1", 0), Connect) as proxy, gateway_at(listen, site) as made:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with running(command, env={"http_proxy": f"http://127.0.0.1:{proxy.server_address[1]}"}):
            made.wait_for_host()
        proxy.shutdown()
    assert {*connected} == {listen}


def test_a_proxy_that_cannot_be_used_is_told(site: Site) -> None:
    log = site.folder / "log"
    command = site.make_command("ws://127.0.0.1:1/x/agent/")
    with log.open("w") as errors, running(command, env={"http_proxy": "socks5://127.0.0.1:1"}, stderr=errors):
        wait_for(lambda: "SOCKS proxy requires" in log.read_text())


def test_a_gateway_whose_certificate_nobody_trusts_is_told_nothing(host: SiteHost, place: Path) -> None:
    log, call = place / "log", host.make_call(host.proxy, AGENTS_PATH)
    call = call[: call.index("--ca-file")]
    hosts = {"here": host.reach("websocket")}
    with (
        gateway(place, hosts, PYTHON, listen=host.listen, **host.as_gateway()) as made,
        log.open("w") as errors,
        running(call, cwd="/", env={}, stderr=errors),
    ):
        wait_for(lambda: "certificate verify failed" in log.read_text())
        assert "has not called yet" in made.describe()["reason"]


def test_a_line_on_which_nobody_asks_anything_is_kept_open(host: SiteHost, place: Path) -> None:
    """The proxy closes one that says nothing for less long."""
    hosts = {"here": host.reach("websocket")}
    with gateway(place, hosts, PYTHON, listen=host.listen, **host.as_gateway()) as made, host.calling():
        made.wait_for_host()
        known = wait_for(made.describe, is_enough=lambda known: known["for_seconds"] > 30)
    assert known["is_connected"]
