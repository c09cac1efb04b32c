"""Hosts of namespaces, and links between them that can be cut one by one."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_for

# Accounts may not see the Python and the checkout that run this: what closes the way to them is covered, in the host's
# own mounts only. Then it waits for orphans, as the first process of a host does.
_FIRST_PROCESS = """
hostname "$1"; shift
stage=$(mktemp -d) && mount -t tmpfs tmpfs "$stage" && chmod 755 "$stage"
number=0
for place in $OPEN; do number=$((number + 1)); mkdir "$stage/$number"; mount --bind "$place" "$stage/$number"; done
for place in $CLOSED; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
number=0
for place in $OPEN; do number=$((number + 1)); mkdir -p "$place"; mount --bind "$stage/$number" "$place"; done
ip link set lo up
touch "$READY"
while :; do sleep 0.2 || :; done
"""
_numbers = count(1)
_SEARCH = 0o001


class Missing(Exception):
    """This machine lacks something that a case needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host by its first process; the one without is this machine."""

    name: str
    pid: int = 0

    def run(self, *command: str, account: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run something there to its end, as an account or as root; its status is for the caller to look at."""
        argv = self.inside(*command, account=account, **variables)
        how: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace", "stdin": subprocess.DEVNULL}
        return subprocess.run(argv, check=False, cwd="/", **how)

    def inside(self, *command: str, account: str = "", groups: str = "", **variables: str) -> list[str]:
        """Return the command that runs another one there."""
        there = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--"] if self.pid else []
        become = ["setpriv", f"--reuid={account}", f"--regid={account}"] if account else []
        if account:
            become.append(f"--groups={groups}" if groups else "--init-groups")
        usual = {"PATH": os.defpath + ":/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": f"/tmp/{account}", "USER": account}
        return [
            *there,
            *become,
            "env",
            "-i",
            *(f"{name}={value}" for name, value in (usual | variables).items()),
            *command,
        ]


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of cards between two hosts, with their addresses."""

    near: Host
    far: Host
    card: str
    near_address: str
    far_address: str

    def cut(self) -> None:
        """Let nothing pass any more; neither side is told."""
        self._set("down")

    def mend(self) -> None:
        """Let everything pass again."""
        self._set("up")

    def _set(self, state: str) -> None:
        require(self.far.run("ip", "link", "set", f"{self.card}b", state))


def require(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a command has printed; AssertionError if it has failed."""
    assert done.returncode == 0, f"{' '.join(done.args)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def require_means(programs: Mapping[str, str]) -> None:
    """Raise Missing unless we are root, may make namespaces and have these programs, which name their packages."""
    if os.geteuid():
        raise Missing("The case needs root: it makes Unix accounts, namespaces and networks. Run it with sudo.")
    lacking = sorted({package for program, package in programs.items() if not _has(program)})
    if lacking:
        raise Missing(f"The case needs packages that are missing: apt-get install {' '.join(lacking)}")
    if subprocess.run(["unshare", "--pid", "--net", "--fork", "true"], check=False, capture_output=True).returncode:
        raise Missing("The case needs the right to make namespaces: in a container, CAP_SYS_ADMIN and CAP_NET_ADMIN.")


def _has(program: str) -> bool:
    return any(Path(folder, program).exists() for folder in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"))


@contextmanager
def make_host(name: str, reachable: Sequence[Path]) -> Iterator[Host]:
    """Lend a host in which every account reaches these folders; it ends with all that runs there."""
    ready = Path(f"/tmp/ready-{os.getpid()}-{next(_numbers)}")
    # One that is open already is left as it is: bound again, it would hide what was opened inside it.
    closed = {path: above for path in reachable if (above := _find_closed(path))}
    variables = {
        "PATH": os.environ["PATH"],
        "OPEN": " ".join(map(str, closed)),
        "CLOSED": " ".join(sorted({str(above) for above in closed.values()})),
        "READY": str(ready),
    }
    command = [
        "unshare",
        "--mount-proc",
        "--pid",
        "--fork",
        "--net",
        "--uts",
        "--kill-child",
        "sh",
        "-ec",
        _FIRST_PROCESS,
    ]
    with subprocess.Popen([*command, "sh", name], env=variables, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: ready.exists() or process.poll() is not None)
            assert process.poll() is None, f"the host {name} has not come up"
            (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield Host(name, int(child))
        finally:
            ready.unlink(missing_ok=True)
            process.kill()


def _find_closed(path: Path) -> Path | None:
    """Return the first folder above a path that others may not pass."""
    return next((above for above in reversed(path.parents) if not above.stat().st_mode & _SEARCH), None)


@contextmanager
def make_link(near: Host, far: Host) -> Iterator[Link]:
    """Lend a link between two hosts, of a network of its own."""
    number = next(_numbers)
    card = f"c{os.getpid() % 1_000_000}n{number}"
    net = f"198.{18 + number % 2}.{os.getpid() // 64 % 256}"
    addresses = [f"{net}.{(os.getpid() % 8 * 8 + number) % 64 * 4 + last}" for last in (1, 2)]
    made = Link(near, far, card, *addresses)
    try:
        require(_HERE.run("ip", "link", "add", f"{card}a", "type", "veth", "peer", "name", f"{card}b"))
        for host, end, address in ((near, "a", addresses[0]), (far, "b", addresses[1])):
            if host.pid:
                require(_HERE.run("ip", "link", "set", f"{card}{end}", "netns", str(host.pid)))
            require(host.run("ip", "address", "add", f"{address}/30", "dev", f"{card}{end}"))
            require(host.run("ip", "link", "set", f"{card}{end}", "up"))
        yield made
    finally:
        near.run("ip", "link", "del", f"{card}a")


_HERE = Host("here")
