"""EDITO: the portal in a pod below a path of an ingress, and in another pod Autosubmit, whose agent calls."""

import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import yaml

from autosubmit_portal.gateway.agent_archive import write_archive
from tests.support.site_host import PYTHON
from tests.support.waiting import wait_for
from tests.tools.cases.case import KINDS, PROGRAMS
from tests.tools.cases.hosts import Host, Link
from tests.tools.cases.openid_connect import OpenIDConnectCase
from tests.tools.cases.portal import PORT, write_site_file
from tests.tools.cases.servers import give

PATH = "/portal/x/"
_HOST = "autosubmit"
_AGENTS_PORT = 8765
_INGRESS = """
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_connect_timeout 3s;
    server {{
        listen {port};
        location {path}agent/0/ {{
            proxy_pass http://{web}:{agents};
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1h;
        }}
        location {path} {{ proxy_pass http://{web}:{port}; }}
    }}
}}
"""


class EDITO(OpenIDConnectCase):
    """See docs/infrastructure.md."""

    name: ClassVar[str] = "edito"
    programs: ClassVar[Mapping[str, str]] = {**PROGRAMS, "nginx": "nginx-light"}
    servers: ClassVar[tuple[str, ...]] = ("database", "provider")

    @property
    def settings(self) -> Mapping[str, str]:
        return {"PORTAL_PATH": PATH, "PORTAL_TRUSTED_PROXIES": "1"}

    def add_entrance(self) -> Link:
        self.add_hosts("ingress", "pod")
        self.add_links(("people-ingress", "here", "ingress"), ("ingress-web", "ingress", "web"))
        self.add_links(("agent-ingress", "pod", "ingress"))
        web = self.links["ingress-web"].far_address
        self.stack.enter_context(_ingress(self.hosts["ingress"], self.folder / "ingress", web))
        return self.links["people-ingress"]

    def set_up(self) -> None:
        self.prepare_store("pod")
        self.home.chmod(0o700)
        token = secrets.token_urlsafe(33)
        calls = {"channel": "websocket", "tokens": [sha256(token.encode()).hexdigest()]}
        self.portal.write_gateway_file({_HOST: calls}, listen=f"0.0.0.0:{_AGENTS_PORT}")
        allowed = {"program": str(self.program), "home": str(self.home), "kinds": KINDS, "profiles": {"usual": {}}}
        write_site_file(self.folder, "pod", self.names, **allowed)
        self.stack.enter_context(self._call(token))

    def register(self) -> None:
        site = {"name": "EDITO", "autosubmit": str(self.program), "home": str(self.home), "hosts": [_HOST]}
        config = {"version": 1, "default_site": self.name, "sites": {self.name: {**site, "refresh_seconds": 1}}}
        self.config = self.folder / "portal.yml"
        self.config.write_text(yaml.safe_dump(config))
        self.portal.manage("apply_config", str(self.config))

    @contextmanager
    def _call(self, token: str) -> Iterator[None]:
        """Have the agent of the pod call."""
        with (self.folder / "agent.log").open("wb") as log, subprocess.Popen(self._agent(token), stderr=log) as process:
            try:
                yield
            finally:
                process.kill()

    def _agent(self, token: str) -> list[str]:
        """Return the command of an agent in the pod that proves itself by a token."""
        secret = self.folder / f"token-{sha256(token.encode()).hexdigest()[:8]}"
        secret.write_text(token)
        give(self.names.site, secret)
        where = f"ws://{self.links['agent-ingress'].far_address}:{PORT}{PATH}agent/0/"
        words = ("--to", where, "--host", _HOST, "--token-file", str(secret), "--without-tls")
        archive = (PYTHON, "-I", str(write_archive(self.folder)), str(self.folder / "pod.json"))
        return self.hosts["pod"].inside(*archive, *words, account=self.names.site)

    def configure(self, expid: str) -> None:
        self.write_workflow(expid, "LOCAL", self.names.site)

    def before_run(self) -> None:
        """Delete the pod of the portal: with a new one, which finds the database only, everything is there."""
        self.portal.delete_pod()
        self.portal.make_home()
        self.portal.manage("migrate", "--verbosity=0")
        self.portal.manage("apply_config", str(self.config))
        self.portal.start()
        wait_for(lambda: self.portal.http.get("/healthz?strict=true").status, is_enough=lambda status: status == 200)
        self.tell("the pod of the portal was deleted, and a new one goes on")

    @property
    def cuts(self) -> Mapping[str, Callable[[], str]]:
        return {
            "people-ingress": self.look_at_health,
            "ingress-web": self.look_at_health,
            "agent-ingress": self.see_run,
            "web-database": self.look_at_health,
            "web-provider": self.try_to_sign_in,
        }

    @property
    def trials(self) -> Mapping[str, Callable[[], str]]:
        names, key = self.names, str(self.portal.secrets / "gateway.json")
        store = f"/tmp/{names.site}/autosubmit"
        return {
            **self.common_trials,
            "portal reads the store": lambda: self.attempt("web", "ls", store, account=names.portal),
            "a command of the site reads the gateway's file": lambda: self.attempt(
                "pod", "cat", key, account=names.site
            ),
            "an agent with another token calls": self._call_with_another_token,
            "the pod of Autosubmit opens the database": self._connect_to_database,
        }

    def _call_with_another_token(self) -> str:
        """Return what such an agent prints."""
        with subprocess.Popen(self._agent(secrets.token_urlsafe(33)), stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            try:
                return process.stderr.readline()
            finally:
                process.kill()

    def _connect_to_database(self) -> str:
        """Return what a command in the pod gets that wants a connection."""
        connect = "import socket, sys; socket.create_connection((sys.argv[1], 5433), timeout=3)"
        address = self.links["web-database"].far_address
        return self.attempt("pod", PYTHON, "-c", connect, address, account=self.names.site)


@contextmanager
def _ingress(host: Host, folder: Path, web: str) -> Iterator[None]:
    """Have an ingress on a host: a real proxy with two paths, for web and for agents."""
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        _INGRESS.format(folder=folder, port=PORT, path=PATH, web=web, agents=_AGENTS_PORT)
    )
    with subprocess.Popen(host.inside("nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder))) as process:
        try:
            yield
        finally:
            process.terminate()
