"""The images are made by their steps; what the chart makes of the guide's values runs in them, on a database alone."""

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
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.deploy import chart
from tests.support.postgres import private_server
from tests.support.waiting import wait_for
from tests.tools.image.pods import STATE, Pod, find_pod, network
from tests.tools.image.roots import BASE, Root, explain_absence, make_base, make_roots
from tests.tools.sbom import make_documents

images = pytest.mark.parametrize("name", ["portal", "agent"])
pytestmark = pytest.mark.system

TOKEN = secrets.token_urlsafe(32)
GATEWAY = {"hosts": {"autosubmit": [sha256(TOKEN.encode()).hexdigest()]}}
OBJECTS = chart.render(**chart.read_guide() | {"gateway": GATEWAY})
HOST = ("-H", "Host: apps.example.org")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Root]]:
    """The file systems of all stages, made by their steps."""
    if missing := explain_absence():
        pytest.skip(missing)
    try:
        make_base(BASE)
    except subprocess.CalledProcessError as error:  # no Debian can be reached from here
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("images")
    folder.parent.chmod(0o755)
    yield make_roots(folder)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@dataclass
class Release:
    """What the chart starts, in one network without an ingress."""

    portal: Pod
    agent: Pod
    database: str

    def ask(self, path: str, *options: str) -> tuple[int, Any]:
        """Ask the web container as the ingress would; return the status and the body."""
        words = ["-s", "-w", "\n%{http_code}", *HOST, "-H", "X-Forwarded-Proto: https", *options]
        url = f"http://127.0.0.1:8000/portal/x/{path}"
        command = ["ip", "netns", "exec", self.portal.network, "curl", *words, url]
        body, _, status = subprocess.run(command, capture_output=True, text=True, check=False).stdout.rpartition("\n")
        return int(status), json.loads(body) if body.startswith(("{", "[")) else body

    def probe(self) -> int:
        """Return the status that the kubelet gets."""
        (web,) = (one for one in self.portal.spec["containers"] if one["name"] == "web")
        asked = web["readinessProbe"]["httpGet"]
        headers = [word for one in asked["httpHeaders"] for word in ("-H", f"{one['name']}: {one['value']}")]
        command = ["ip", "netns", "exec", self.portal.network, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
        command += [*headers, f"http://127.0.0.1:8000{asked['path']}"]
        return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    def begin(self) -> None:
        """Start the pod of the portal, with nothing but the database and the secrets."""
        data = OBJECTS["ConfigMap", "demo-portal-files"]["data"]
        kept = {"PORTAL_SECRET_KEY": 64 * "k" + "abcdef", "PORTAL_DATABASE_URL": self.database}
        self.portal.make_volumes({"secrets": kept, "files": data})
        self.portal.start()
        wait_for(lambda: self.probe() == 200)


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
    ingress = "wss://apps.example.org/portal/x/agent/0/"
    directly = "ws://127.0.0.1:8765/portal/x/agent/0/"
    container["args"] = [directly if one == ingress else one for one in container["args"]] + ["--without-tls"]
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


def test_nothing_of_the_machine_is_left_in_an_image(roots: dict[str, Root]) -> None:
    """What is lent while the steps run, such as certificates and the settings of pip, is gone."""
    assert {one.name for one in (roots["portal"].folder / "opt").iterdir()} == {"autosubmit-portal"}
    assert {one.name for one in (roots["agent"].folder / "opt").iterdir()} == {"autosubmit", "autosubmit-agent"}
    for name in ("portal", "agent"):
        assert not [one for one in (roots[name].folder / "tmp").iterdir() if one.is_file()]


@pytest.fixture(scope="module")
def documents(roots: dict[str, Root]) -> dict[str, dict[str, Any]]:
    """What `make sbom` writes of these images."""
    return make_documents(roots["portal"].folder, roots["agent"].folder)


@images
def test_the_list_of_what_is_shipped_has_whatever_is_there(
    roots: dict[str, Root], documents: dict[str, dict[str, Any]], name: str
) -> None:
    made = documents[name]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is None
    listed = {(one["name"], one["version"]) for one in made["components"]}
    python = {"portal": "/opt/autosubmit-portal/bin/python", "agent": "/opt/autosubmit/bin/python"}[name]
    asked = "from importlib.metadata import distributions\nfor one in distributions(): print(one.name, one.version)"
    assert _list_inside(roots[name], python, "-c", asked) <= listed
    assert _list_inside(roots[name], "dpkg-query", "-W", "-f", "${Package} ${Version}\\n") <= listed
    assert not [one["name"] for one in made["components"] if "deb/" in one.get("purl", "") and not one["licenses"]]


def _list_inside(root: Root, *command: str) -> set[tuple[str, ...]]:
    done = subprocess.run(["chroot", str(root.folder), *command], check=True, capture_output=True, text=True)
    return {tuple(line.split()) for line in done.stdout.splitlines()}


def test_the_portal_ships_no_installer_of_packages(documents: dict[str, dict[str, Any]]) -> None:
    assert not {"pip", "setuptools"} & {one["name"] for one in documents["portal"]["components"]}


@pytest.mark.parametrize(
    ("name", "account"),
    [("web", "10001 10001"), ("worker-portal", "10001 10001"), ("mirror", "10001 10001"), ("gateway", "10003 10001")],
)
def test_a_root_can_only_be_read(release: Release, name: str, account: str) -> None:
    tried = "! touch /x; ! touch /opt/x; ! touch /run/x; ! touch /etc/x; echo $(id -u) $(id -g)"
    assert release.portal.run(name, "/bin/sh", "-euc", tried) == f"{account}\n"


def test_the_root_of_the_agent_can_only_be_read(release: Release) -> None:
    closed = "! touch /x; ! touch /opt/autosubmit/x; ! touch /etc/autosubmit-portal/site/x"
    tried = f"{closed}; touch ~/x; echo $(id -u) $(id -g)"
    assert release.agent.run("agent", "/bin/sh", "-euc", tried) == "10002 10002\n"


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
    assert release.ask("healthz")[0] == 0  # nobody answers
    release.begin()
    assert release.ask(action, *headers)[1] == made
    assert release.ask(f"{action}/output", *headers)[1] == output
    assert release.ask(f"v4/experiments/{made['expid']}", *headers)[1]["description"] == "In a pod"
    assert {one.name for one in release.portal.volumes.iterdir() if one.is_dir()} >= set(STATE)
