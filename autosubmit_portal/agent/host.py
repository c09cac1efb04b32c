"""Which host this is, and which of its processes live."""

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from autosubmit_portal.sentences import say

_MACHINE = Path("/etc/machine-id")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
_UNKNOWN = "-"


class Place(Enum):
    """Where something was started, as seen from here."""

    HERE = "here"
    BEFORE_RESTART = say("before the last restart of this host")
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells hosts apart: the machine, since when it runs, and the PID namespace whose processes are seen."""

    machine: str
    boot: str
    namespace: str

    def locate(self, other: "Identity") -> Place:
        """Return where a process of another identity is, if this is ours. A restart must be proven."""
        if self.boot == other.boot:
            return Place.HERE if self.namespace == other.namespace else Place.ELSEWHERE
        is_same = self.machine == other.machine != _UNKNOWN and self.namespace == other.namespace
        return Place.BEFORE_RESTART if is_same else Place.ELSEWHERE

    def __str__(self) -> str:
        return f"{self.machine} {self.boot} {self.namespace}"


def read_identity() -> Identity:
    """Return the identity of this host. Machine ids are not for others (machine-id(5)), so it is a digest."""
    machine = _read(_MACHINE)
    hashed = hashlib.sha256(f"autosubmit-portal {machine}".encode()).hexdigest()[:32]
    try:
        namespace = str(_NAMESPACE.stat().st_ino)
    except OSError:
        namespace = _UNKNOWN
    return Identity(hashed if machine else _UNKNOWN, _read(_BOOT) or _UNKNOWN, namespace)


def read_process_fields(pid: int) -> list[str]:
    """Return what the kernel tells of a process after its name, the state first (proc(5), `stat`); none if it is gone.

    A process that nobody has waited for yet is gone too.
    """
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return [] if fields[:1] == ["Z"] else fields


def read_process_start(pid: int) -> str:
    """Return the start time of a living process in clock ticks since boot (field 22 of stat); blank for none."""
    fields = read_process_fields(pid)
    return fields[19] if fields else ""


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
