"""The pods of the chart as processes: each container with its command, its account, its mounts and a root to read."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deploy.chart import Objects
from tests.tools.image.roots import Root, make_argv

STATE = ("home", "tmp", "readers", "actors")


@dataclass
class Pod:
    """One pod of the chart, in a network of its own; `volumes` are folders that stand for its volumes."""

    spec: dict[str, Any]
    root: Root
    volumes: Path
    network: str
    given: dict[str, str] = field(default_factory=dict)
    binds: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def make_volumes(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """Make empty folders for what is lost with the pod, and files of secrets and config maps."""
        group = self.spec["securityContext"]["fsGroup"]
        for one in self.spec["volumes"]:
            folder = self.volumes / one["name"]
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name, text in files.get(one["name"], {}).items():
                (folder / name).write_text(text)
                os.chown(folder / name, 0, group)
                (folder / name).chmod(0o440)
            os.chown(folder, 0, group)
            folder.chmod(0o2777)

    def run(self, name: str, *words: str) -> str:
        """Run an init container, or another command in the place of a container's, to its end."""
        done = subprocess.run(
            self._make_argv(name, list(words)),
            env=self._make_environment(name),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name} {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Do what the kubelet does: the init containers one after the other, then all others."""
        for one in self.spec["initContainers"]:
            self.run(one["name"])
        for one in self.spec["containers"]:
            with (self.volumes / f"{one['name']}.log").open("ab") as log:
                self.processes[one["name"]] = subprocess.Popen(
                    self._make_argv(one["name"], []),
                    env=self._make_environment(one["name"]),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def kill(self) -> None:
        """Kill all containers, each by the first process of its namespace, with which all others end."""
        for process in self.processes.values():
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            for first in children.read_text().split() if process.poll() is None else ():
                os.kill(int(first), signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def read_logs(self) -> str:
        """Return what the containers printed."""
        return "\n".join(f"{file.name}: {file.read_text()[-2000:]}" for file in sorted(self.volumes.glob("*.log")))

    def _find(self, name: str) -> dict[str, Any]:
        (found,) = (one for one in [*self.spec["initContainers"], *self.spec["containers"]] if one["name"] == name)
        return found  # type: ignore[no-any-return]

    def _make_environment(self, name: str) -> dict[str, str]:
        container = self._find(name)
        settings = self.given if "envFrom" in container else {}
        return self.root.stage.environment | settings | {one["name"]: one["value"] for one in container.get("env", ())}

    def _make_argv(self, name: str, words: list[str]) -> list[str]:
        container, stage = self._find(name), self.root.stage
        (entry,), (usual,) = stage.find("ENTRYPOINT"), stage.find("CMD")
        first = container.get("command", entry.words)
        command = words or [*first, *container.get("args", usual.words)]
        user = container["securityContext"].get("runAsUser", self.spec["securityContext"]["runAsUser"])
        group = self.spec["securityContext"]["runAsGroup"]
        mounts: dict[bool, dict[str, str]] = {True: {}, False: {}}
        for one in container["volumeMounts"]:
            mounts[one.get("readOnly", False)][one["mountPath"]] = str(self.volumes / one["name"])
        argv = make_argv(
            self.root.folder,
            command,
            directory=self.root.directory,
            binds=self.binds,
            account=f"{user}:{group}",
            writable=mounts[False],
            readable=mounts[True],
        )
        return ["ip", "netns", "exec", self.network, *argv]


def find_pod(objects: Objects, name: str) -> dict[str, Any]:
    """Return the specification of the pods of a stateful set."""
    spec: dict[str, Any] = json.loads(json.dumps(objects["StatefulSet", name]["spec"]["template"]["spec"]))
    return spec


@contextmanager
def network(name: str) -> Iterator[str]:
    """Have a network that leads nowhere."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
