"""Whether an experiment is running, from evidence: who holds the lock of its run.

While a run lives it holds an exclusive `flock` on `<expid>/tmp/autosubmit.lock`; the kernel frees it however the run
ends. What Autosubmit's own tables say is not asked: they still say RUNNING after every end. The kernel's list of locks
is read instead of trying to lock, because a lock that we held for an instant could make Autosubmit fail to get its own.

Holders in another PID namespace (another container) or on another host of a network file system do not show.
"""

import os
import platform
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_LOCK_TABLE = Path("/proc/locks")
# The kernel hands the table out by pages; an entry can slip from one to the next while another lock is freed.
_PAGE_BYTES = 4000

Device = tuple[int, int, int]
"""Major and minor number of a file system, and inode."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether a run lives, the process that holds its lock on this host, and a sentence that says why."""

    is_running: bool
    pid: int | None
    evidence: str


@dataclass(frozen=True)
class Locks:
    """The exclusive `flock` locks of this host at one instant: which process holds which file."""

    holders: dict[Device, int] = field(default_factory=dict)
    is_known: bool = True

    def candidates(self, status: os.stat_result, expid: str) -> list[int]:
        """Return the processes that may hold a file.

        The device number is compared first. Some file systems (btrfs, overlayfs) give `stat` another number than the
        lock table; there the inode alone counts, if its holder is an Autosubmit command for this experiment.
        """
        exact = self.holders.get((os.major(status.st_dev), os.minor(status.st_dev), status.st_ino))
        if exact is not None:
            return [exact]
        same_inode = (pid for (_, _, inode), pid in self.holders.items() if inode == status.st_ino)
        return [pid for pid in same_inode if expid in autosubmit_words(pid)]

    @cached_property
    def inodes(self) -> frozenset[int]:
        """The inodes of all files that are held."""
        return frozenset(inode for _, _, inode in self.holders)

    @cached_property
    def words(self) -> frozenset[str]:
        """What stands in the command lines of the Autosubmit commands that hold something, expids among it."""
        return frozenset(word for pid in set(self.holders.values()) for word in autosubmit_words(pid))

    def may_hold(self, lock_file: str) -> bool:
        """Answer whether somebody may hold a file; it is not looked at while nothing at all is held."""
        if not self.inodes:
            return False
        try:
            return os.stat(lock_file).st_ino in self.inodes
        except OSError:
            return False


def read_locks() -> Locks:
    """Return the locks that are held now; `is_known` is False where the system does not tell (no `/proc/locks`)."""
    try:
        table = _LOCK_TABLE.read_text(encoding="ascii", errors="replace")
        if len(table) > _PAGE_BYTES:
            table += "\n" + _LOCK_TABLE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return Locks(is_known=False)
    return Locks(dict(_holders(table)))


def liveness(lock_file: Path, locks: Locks) -> Liveness:
    """Say whether the run that locks `lock_file` (`<expid>/tmp/autosubmit.lock`) lives, according to `locks`."""
    if not locks.is_known:
        return Liveness(False, None, "this system does not tell who holds a lock (no /proc/locks)")
    try:
        status = lock_file.stat()
    except OSError:
        return Liveness(False, None, "there is no lock file: it was never run")
    holders = locks.candidates(status, lock_file.parent.parent.name)
    return _judged(holders[0]) if holders else Liveness(False, None, "nobody holds the lock")


def autosubmit_words(pid: int) -> list[str]:
    """Return the words after `autosubmit` in the command line of a process; none if it is another program or gone."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    words = line.rstrip("\0").split("\0")
    programs = [place for place, word in enumerate(words[:3]) if os.path.basename(word) == "autosubmit"]
    return words[programs[0] + 1 :] if programs else []


def _holders(table: str) -> list[tuple[Device, int]]:
    """Read lines like `1: FLOCK  ADVISORY  WRITE 8306 fe:00:2155987 0 EOF`; waiting ones have `->` before FLOCK."""
    fields = (line.split() for line in table.splitlines())
    return [
        (_device(words[5]), int(words[4]))
        for words in fields
        if len(words) >= 6 and words[1] == "FLOCK" and words[3] == "WRITE" and words[4].isdecimal()
    ]


def _device(text: str) -> Device:
    major, minor, inode = text.split(":")
    return int(major, 16), int(minor, 16), int(inode)


def _judged(pid: int) -> Liveness:
    """Tell a run from the commands that hold the same lock for a moment (create, setstatus, pklfix)."""
    words = autosubmit_words(pid)
    if words and "run" not in words:
        command = next((word for word in words if not word.startswith("-")), "another command")
        return Liveness(
            False, pid, f"process {pid} on {platform.node()} holds the lock for {command}, not for a run"
        )
    return Liveness(True, pid, f"process {pid} on {platform.node()} holds the lock")
