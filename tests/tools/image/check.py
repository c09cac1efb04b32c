"""The images are made by their steps; the commands of the chart run in them, on a database that is all they keep."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from django.conf import settings

from tests.deploy import chart
from tests.support.containerfile import read_stages
from tests.support.postgres import private_server
from tests.support.waiting import wait_for
from tests.tools.image.pods import STATE, Pod, find_pod, network
from tests.tools.image.roots import Root, explain_absence, make_base

pytestmark = pytest.mark.system

BASES = settings.BASE_DIR / "var" / "image"
TOKEN = secrets.token_urlsafe(32)
CONFIG = {
    "version": 1,
    "default_site": "edito",
    "sites": {
        "edito": {
            "name": "EDITO",
            "autosubmit": "/opt/autosubmit/bin/autosubmit",
            "home": "/home/autosubmit",
            "hosts": ["autosubmit"],
        }
    },
}
OBJECTS = chart.render(
    config=CONFIG, gateway={"hosts": {"autosubmit": [sha256(TOKEN.encode()).hexdigest()]}}, ingress={"tls": False}
)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Root]:
    """The file systems of all stages, made by their steps."""
    assert not explain_absence(), explain_absence()
    subprocess.run(["make", "--silent", "dist"], cwd=settings.BASE_DIR, check=True)
    folder, made = tmp_path_factory.mktemp("images"), dict[str, Root]()
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    BASES.mkdir(parents=True, exist_ok=True)
    for name, stage in read_stages().items():
        made[name] = Root(folder / name, stage)
        made[name].build(make_base(BASES / "bookworm"), settings.BASE_DIR, made)
    return made


@dataclass
class Release:
    """What the chart starts, in one network without an ingress."""

    portal: Pod
    agent: Pod
    database: str

    def ask(self, path: str, *options: str) -> tuple[int, Any]:
        """Ask the web container as the ingress would; return the status and the body."""
        words = ["-s", "-w", "\n%{http_code}", "-H", "Host: portal.example.org", *options]
        url = f"http://127.0.0.1:8000/portal/x/{path}"
        command = ["ip", "netns", "exec", self.portal.network, "curl", *words, url]
        body, _, status = subprocess.run(command, capture_output=True, text=True, check=False).stdout.rpartition("\n")
        return int(status), json.loads(body) if body.startswith(("{", "[")) else body

    def begin(self) -> None:
        """Start the pod of the portal, with nothing but the database and the secrets."""
        data = OBJECTS["ConfigMap", "demo-portal-files"]["data"]
        kept = {"PORTAL_SECRET_KEY": 64 * "k" + "abcdef", "PORTAL_DATABASE_URL": self.database}
        self.portal.make_volumes({"secrets": kept, "files": data})
        self.portal.start()
        wait_for(lambda: self.ask("healthz")[0] == 200)


@pytest.fixture(scope="module")
def release(roots: dict[str, Root], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release that runs."""
    folder = tmp_path_factory.mktemp("volumes")
    folder.chmod(0o755)
    with private_server() as server, network(f"portal-{os.getpid()}") as name:
        server.folder.chmod(0o755)
        data = OBJECTS["ConfigMap", "demo-portal"]["data"]
        portal = Pod(find_pod(OBJECTS, "demo-portal"), roots["portal"], folder / "portal", name, data)
        portal.binds[str(server.folder)] = "/mnt"
        agent = Pod(find_pod(OBJECTS, "demo-portal-agent"), roots["agent"], folder / "agent", name)
        made = Release(portal, agent, "postgres://postgres@/postgres?host=/mnt")
        try:
            made.begin()
            _start_agent(agent)
            yield made
        finally:
            portal.kill()
            agent.kill()
            shutil.rmtree(folder)


def _start_agent(agent: Pod) -> None:
    (container,) = agent.spec["containers"]
    ingress = "ws://portal.example.org/portal/x/agent/0/"
    container["args"] = [
        "ws://127.0.0.1:8765/portal/x/agent/0/" if one == ingress else one for one in container["args"]
    ]
    site = OBJECTS["ConfigMap", "demo-portal-agent"]["data"]
    agent.make_volumes({"site": site, "token": {"token": TOKEN}})
    agent.start()


@pytest.fixture(scope="module")
def headers(release: Release) -> list[str]:
    """What says who asks: a superuser with a token."""
    code = "from django.contrib.auth.models import User; User.objects.create_superuser('admin')"
    release.portal.run("migrate", "autosubmit-portal", "shell", "--no-imports", "-c", code)
    token = release.portal.run("migrate", "autosubmit-portal", "create_token", "admin", "--name", "check").split()[-1]
    return ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]


@pytest.mark.parametrize("name", ["web", "gateway"])
def test_a_root_can_only_be_read(release: Release, name: str) -> None:
    release.portal.run(name, "/bin/sh", "-euc", "! touch /x; ! touch /opt/x; ! touch /run/x; ! touch /etc/x")


def test_the_images_make_an_experiment_and_a_new_pod_knows_it(release: Release, headers: list[str]) -> None:
    body = json.dumps({"description": "In a pod", "hpc": "local"})
    wait_for(lambda: release.ask("v4/sites/edito", *headers)[1]["is_healthy"])
    status, asked = release.ask("v4/experiments", *headers, "-d", body)
    assert status == 202, asked
    action = f"v4/actions/{asked['id']}"
    wait_for(lambda: release.ask(action, *headers)[1]["ended_at"])
    made, output = (release.ask(path, *headers)[1] for path in (action, f"{action}/output"))
    assert made["state"] == "succeeded", release.portal.read_logs() + release.agent.read_logs()
    release.portal.kill()
    release.begin()
    assert release.ask(action, *headers)[1] == made
    assert release.ask(f"{action}/output", *headers)[1] == output
    assert release.ask(f"v4/experiments/{made['expid']}", *headers)[1]["description"] == "In a pod"
    assert {one.name for one in release.portal.volumes.iterdir() if one.is_dir()} >= set(STATE)
