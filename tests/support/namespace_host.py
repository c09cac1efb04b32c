"""Another host on the file system of this one: PID, network and host names of its own, as containers have them."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import wait_for

# It waits for orphans, as the first process of a host does.
_FIRST_PROCESS = 'hostname "$0"; while :; do sleep 0.2; done'


@dataclass(frozen=True, slots=True)
class NamespaceHost:
    """A host of this name, by its first process."""

    name: str
    pid: int

    def inside(self, *command: str) -> list[str]:
        """Return the command that runs another one there."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--", *command]


@contextmanager
def namespace_host(name: str) -> Iterator[NamespaceHost]:
    """Lend such a host, which ends with all that runs there; skip where none can be made."""
    if os.getuid() or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("needs the right to make namespaces")
    command = ["unshare", "--mount-proc", "--pid", "--fork", "--net", "--uts", "--kill-child"]
    with subprocess.Popen([*command, "sh", "-c", _FIRST_PROCESS, name]) as process:
        try:
            (child,) = wait_for(lambda: find_children(process.pid))
            host = NamespaceHost(name, child)
            wait_for(lambda: _read(host.inside("hostname")) == name)
            yield host
        finally:
            process.kill()


def find_children(pid: int) -> Sequence[int]:
    """Return the children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _read(command: Sequence[str]) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
