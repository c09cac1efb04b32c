"""The portal of a case on its own host: web, worker and mirror as one account, the gateway as another."""

import json
import re
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from autosubmit_portal.gateway.agent_archive import write_archive
from tests.support.services import Answer, Http, collected_static_files
from tests.support.site_host import PYTHON, REPOSITORY, make_key
from tests.support.waiting import wait_for
from tests.tools.cases.hosts import Host, Link, require
from tests.tools.cases.servers import SSH_PORT, give, pin

PORT = 8000
OPERATOR = "ana"
_MANAGE = str(REPOSITORY / "manage.py")


@dataclass(frozen=True, slots=True)
class Names:
    """The Unix accounts of a case, and the group whose members may open the socket for acting."""

    portal: str
    gateway: str
    site: str
    person: str
    acting: str


@dataclass(slots=True)
class CasePortal:
    """The portal, and somebody who has signed in."""

    web: Host
    people: Link
    names: Names
    folder: Path
    variables: dict[str, str]
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    http: Http = field(default_factory=lambda: Http(""))

    @property
    def url(self) -> str:
        """The address that people use."""
        return f"http://{self.people.far_address}:{PORT}{self.variables.get('PORTAL_PATH', '/').rstrip('/')}"

    @property
    def secrets(self) -> Path:
        """The folder of the gateway's keys."""
        return Path("/tmp") / self.names.gateway / ".ssh"

    def make_home(self) -> None:
        """Make the portal's home as an image or a package has it: with static files, and nothing else."""
        home = Path(self.variables["PORTAL_HOME"])
        home.mkdir(mode=0o700)
        subprocess.run(["cp", "-r", str(collected_static_files()), str(home / "static")], check=True)
        give(self.names.portal, home)

    def manage(self, *words: str) -> str:
        """Run a command of the portal as its account."""
        argv = (sys.executable, _MANAGE, *words)
        return require(self.web.run(*argv, account=self.names.portal, **self.variables))

    def write_ssh_hosts(self, hosts: Mapping[str, tuple[str, Path]]) -> None:
        """Write the gateway's file: each host by its address and the folder of its sshd."""
        lines = "".join(pin(address, server) for address, server in hosts.values())
        (self.secrets / "known_hosts").write_text(lines)
        reached = {
            name: {
                "channel": "ssh",
                "destination": f"{self.names.site}@{address}",
                "port": SSH_PORT,
                "known_hosts": str(self.secrets / "known_hosts"),
                "identity_file": str(self.secrets / "key"),
                "agent": "/the/key/opens/one/agent/only",
            }
            for name, (address, _) in hosts.items()
        }
        self.write_gateway_file(reached)

    def write_gateway_file(self, hosts: Mapping[str, Any], **more: Any) -> None:
        """Write the gateway's file: how each host is reached, and where those call that call."""
        sockets = {"reading": f"{self.folder}/sockets/readers/socket", "acting": f"{self.folder}/sockets/actors/socket"}
        file = self.secrets / "gateway.json"
        file.write_text(json.dumps({"portal": str(uuid.uuid4()), **sockets, "hosts": hosts, **more}))
        give(self.names.gateway, self.secrets)

    def start(self) -> None:
        """Start all processes, and wait until the web server answers."""
        gunicorn = [sys.executable, "-m", "gunicorn", "--worker-class=autosubmit_portal.web.PortalWorker"]
        gateway = (sys.executable, "-m", "autosubmit_portal.gateway", str(self.secrets / "gateway.json"))
        self._spawn("gateway", *gateway, account=self.names.gateway, PYTHONPATH=str(REPOSITORY))
        web = [
            *gunicorn,
            "--workers=2",
            "--preload",
            f"--bind=0.0.0.0:{PORT}",
            "--no-control-socket",
            "autosubmit_portal.wsgi",
        ]
        self._spawn("web", *web, account=self.names.portal, **self.variables)
        for name, word in (("worker", "qcluster"), ("mirror", "mirror")):
            groups = f"{self.names.portal},{self.names.acting}" if name == "worker" else ""
            argv = (sys.executable, _MANAGE, word)
            self._spawn(name, *argv, account=self.names.portal, groups=groups, **self.variables)
        wait_for(lambda: self.look("/healthz"), is_enough=lambda seen: seen.startswith("{"))  # the portal, not a proxy

    def _spawn(self, name: str, *argv: str, **how: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            argv_there = self.web.inside(*argv, **how)
            self.processes[name] = subprocess.Popen(
                argv_there, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def end(self) -> None:
        """Kill what was started; the rest ends with its host."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def delete_pod(self) -> None:
        """Kill whatever runs at the portal's host, and remove its home."""
        self.web.run("sh", "-c", "kill -9 -1")
        self.end()
        shutil.rmtree(self.variables["PORTAL_HOME"])

    def look(self, path: str, seconds: float = 6.0) -> str:
        """Return what somebody sees there within so many seconds."""
        try:
            answer = Http(self.url, self.http.token, timeout=seconds).get(path)
        except OSError:
            return NO_ANSWER
        return json.dumps(answer.body) if answer.body else str(answer.status)

    def sign_in(self, way: str, agree: Callable[[str], str]) -> Http:
        """Sign in as somebody who agrees at the provider; return a client with a token of theirs."""
        with requests.Session() as session:
            sent = session.get(f"{self.url}/login/{way}/", allow_redirects=False, timeout=60)
            assert sent.is_redirect, _read_text(sent)
            back = session.get(agree(sent.headers["Location"]), timeout=60)
            assert back.ok, _read_text(back)
            # Below a path its name has an ending.
            (token,) = (str(cookie.value) for cookie in session.cookies if cookie.name.startswith("csrftoken"))
            headers = {"X-CSRFToken": token, "Referer": self.url}
            made = session.post(f"{self.url}/v4/tokens", json={"name": "case"}, headers=headers, timeout=60)
            assert made.status_code == 201, made.text
            return Http(self.url, made.json()["token"])


NO_ANSWER = "no answer"


def _read_text(page: requests.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


@contextmanager
def make_portal(
    web: Host, people: Link, names: Names, folder: Path, variables: Mapping[str, str]
) -> Iterator[CasePortal]:
    """Lend a portal with keys and sockets, and no tables yet; `start` starts it."""
    usual = {
        "PORTAL_HOME": f"/tmp/{names.portal}/home",
        "PORTAL_GATEWAY": str(folder / "sockets"),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(64),
        "PORTAL_ALLOWED_HOSTS": people.far_address,
        "PORTAL_LOG_LEVEL": "WARNING",
        "PORTAL_POLL_SECONDS": "0.25",
        "PORTAL_WORKERS": "2",
        "DJANGO_SETTINGS_MODULE": "autosubmit_portal.settings",
        "PYTHONPATH": str(REPOSITORY),
    }
    made = CasePortal(web, people, names, folder, {**usual, **variables})
    made.make_home()
    _make_sockets(folder / "sockets", names)
    made.secrets.mkdir(mode=0o700)
    make_key(made.secrets / "key")
    for name in (names.portal, names.gateway):
        (Path("/tmp") / name).chmod(0o700)
    try:
        yield made
    finally:
        made.end()


def _make_sockets(folder: Path, names: Names) -> None:
    """Make what docs/systemd/autosubmit-portal-gateway.conf has systemd make."""
    folder.mkdir(mode=0o755)
    for name, short, group in (("readers", "reading", names.portal), ("actors", "acting", names.acting)):
        (folder / name).mkdir()
        subprocess.run(["chown", f"{names.gateway}:{group}", str(folder / name)], check=True)
        (folder / name).chmod(0o2750)
        (folder / short).symlink_to(f"{name}/socket")


def install_agent(folder: Path, host: str, server: Path, names: Names, key: Path, **allowed: Any) -> None:
    """Install the agent at a host: its file, what the site allows, and the line that lets the gateway's key open it."""
    site_file = write_site_file(folder, host, names, **allowed)
    line = f'restrict,command="{PYTHON} -I {write_archive(folder)} {site_file}" {key.with_suffix(".pub").read_text()}'
    (server / "authorized_keys" / names.site).write_text(line)
    (server / "authorized_keys" / names.site).chmod(0o644)


def write_site_file(folder: Path, host: str, names: Names, **allowed: Any) -> Path:
    """Write what the site allows the agent of a host."""
    site_file = folder / f"{host}.json"
    spool = Path("/tmp") / names.site / f"spool-{host}"
    site_file.write_text(json.dumps({"spool": str(spool), "umask": "0002", **allowed}))
    site_file.chmod(0o644)
    return site_file


def act(portal: CasePortal, method: str, path: str, body: Any = None) -> Any:
    """Ask for an action, which must be taken; return it."""
    answer: Answer = portal.http.call(method, path, body)
    assert answer.status in (200, 202), (path, answer.status, answer.body)
    return answer.body


def read_action(portal: CasePortal, action: Any) -> Any:
    """Return an action as it is now."""
    return portal.http.get(f"/v4/actions/{action['id']}").body


def wait_for_end(portal: CasePortal, action: Any, state: str = "succeeded") -> Any:
    """Return an action that has ended, which must be in this state."""
    ended = wait_for(lambda: read_action(portal, action), is_enough=lambda now: bool(now.get("ended_at")))
    assert ended["state"] == state, ended
    return ended
