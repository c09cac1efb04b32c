"""Decide from evidence whether an experiment is running: which process holds the lock of its run.

A run holds an exclusive `flock` on `<expid>/tmp/autosubmit.lock`; the kernel frees it however the run ends.
Autosubmit's own tables are not asked: they say RUNNING after every end. The kernel's list of locks is read, and the
lock is never tried: if we held it for an instant, Autosubmit could fail to get it.

Everybody who may read the file may lock it. So a holder is believed if its account may run the experiment and its
command line is that of a run. If these cannot be seen, it counts as a run, to be safe.

Holders in another PID namespace (another container) or on another host of a network file system are not seen.
"""

import os
import platform
import pwd
import re
import shlex
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autosubmit_portal.agent.accounts import get_name
from autosubmit_portal.agent.host import read_process_fields

_LOCK_TABLE = Path("/proc/locks")
# The kernel hands the table out by pages; an entry can slip from one to the next while another lock is freed.
_PAGE_BYTES = 4000
# `python -E -s -m autosubmit.scripts.autosubmit`: the program is among the first words.
_PROGRAM_WITHIN, _MODULE = 6, "autosubmit.scripts.autosubmit"
_REAL_UID = re.compile(r"^Uid:\s+(\d+)", re.MULTILINE)
_IGNORED = re.compile(r"^SigIgn:\s*([0-9a-f]+)", re.MULTILINE)
# To Autosubmit the account of this name owns everything.
_SUPERUSER, _ADMINISTRATOR = 0, "eadmin"

Device = tuple[int, int, int]
"""Major and minor number of a file system, and inode."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether a run lives, the process that holds its lock on this host, and a sentence with the reason.

    `locked_by` describes a process that holds the lock but is no command of Autosubmit; blank without one. `owner` and
    `command` are account and command line of a run; blank where they cannot be seen.
    """

    is_running: bool
    pid: int | None
    evidence: str
    locked_by: str = ""
    owner: str = ""
    command: str = ""

    @property
    def ignores_interrupt(self) -> bool:
        """Whether the run ignores SIGINT, by which `autosubmit stop` ends it, as what a shell started with `&` does."""
        return self.is_running and self.pid is not None and _is_ignoring(self.pid, signal.SIGINT)

    @property
    def is_asleep(self) -> bool:
        """Whether the run waits for something at this instant, so that it neither computes nor writes."""
        return self.is_running and self.pid is not None and read_process_fields(self.pid)[:1] == ["S"]


@dataclass(frozen=True)
class Locks:
    """The exclusive `flock` locks of this host at one instant: which process holds which file."""

    holders: dict[Device, int] = field(default_factory=dict)
    is_known: bool = True

    def list_candidates(self, status: os.stat_result, expid: str) -> list[int]:
        """Return the processes that may hold a file.

        The device number is compared first. Some file systems (btrfs, overlayfs) give `stat` another number than the
        lock table; there the inode alone counts, if its holder is an Autosubmit command for this experiment.
        """
        exact = self.holders.get((os.major(status.st_dev), os.minor(status.st_dev), status.st_ino))
        if exact is not None:
            return [exact]
        same_inode = (pid for (_, _, inode), pid in self.holders.items() if inode == status.st_ino)
        return [pid for pid in same_inode if expid in read_autosubmit_words(pid)]

    @cached_property
    def inodes(self) -> frozenset[int]:
        """The inodes of all files that are held."""
        return frozenset(inode for _, _, inode in self.holders)

    @cached_property
    def words(self) -> frozenset[str]:
        """What stands in the command lines of the Autosubmit commands that hold something, expids among it."""
        return frozenset(word for pid in set(self.holders.values()) for word in read_autosubmit_words(pid))

    def may_hold(self, lock_file: str) -> bool:
        """Return whether somebody may hold a file; it is not looked at while nothing at all is held."""
        if not self.inodes:
            return False
        try:
            return os.stat(lock_file).st_ino in self.inodes
        except OSError:
            return False


def read_locks() -> Locks:
    """Return the locks that are held now; `is_known` is False on systems without `/proc/locks`."""
    try:
        table = _LOCK_TABLE.read_text(encoding="ascii", errors="replace")
        if len(table) > _PAGE_BYTES:
            table += "\n" + _LOCK_TABLE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return Locks(is_known=False)
    return Locks(dict(_parse_holders(table)))


def check_liveness(lock_file: Path, locks: Locks) -> Liveness:
    """Return whether the run of `lock_file` (`<expid>/tmp/autosubmit.lock`) lives, according to `locks`."""
    if not locks.is_known:
        return Liveness(False, None, "this system does not tell who holds a lock (no /proc/locks)")
    try:
        status = lock_file.stat()
    except OSError:
        return Liveness(False, None, "there is no lock file: it was never run")
    folder = lock_file.parent.parent
    holders = locks.list_candidates(status, folder.name)
    if not holders:
        return Liveness(False, None, "nobody holds the lock")
    return _judge_holder(holders[0], folder.name, _list_trusted_uids(folder))


def read_autosubmit_words(pid: int) -> list[str]:
    """Return the words after `autosubmit` in the command line of a process; none if it is another program or gone."""
    return _skip_program(_read_command_line(pid) or [])


def _read_command_line(pid: int) -> list[str] | None:
    """Return the words of the command line of a process; None if it has none that can be seen."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    return line.rstrip("\0").split("\0") if line else None


def _skip_program(words: list[str]) -> list[str]:
    """Return what follows the program, which Python may run as a file or, after `-m`, as a module."""
    for place, word in enumerate(words[:_PROGRAM_WITHIN]):
        if os.path.basename(word) == "autosubmit" or word == _MODULE:
            return words[place + 1 :]
    return []


def _read_uid(pid: int) -> int | None:
    """Return the real uid of a process; None if it cannot be seen.

    Not the owner of `/proc/<pid>`, which is root for a process that forbids to be dumped, nor the effective uid, which
    is that of the owner of a program that is setuid, with any command line.
    """
    found = _REAL_UID.search(_read_status(pid))
    return int(found[1]) if found else None


def _list_trusted_uids(folder: Path) -> set[int]:
    """Return who may run an experiment: the owner of its folder, Autosubmit's administrator, ours and the superuser."""
    uids = {os.getuid(), _SUPERUSER}
    with suppress(OSError):
        uids.add(folder.stat().st_uid)
    with suppress(KeyError):
        uids.add(pwd.getpwnam(_ADMINISTRATOR).pw_uid)
    return uids


def _read_status(pid: int) -> str:
    """Return what the kernel tells of a process; blank if it cannot be seen."""
    try:
        return Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _is_ignoring(pid: int, number: signal.Signals) -> bool:
    """Return whether a process ignores a signal, by the mask `SigIgn` of its status; False if nobody can tell."""
    masks = [int(mask, 16) for mask in _IGNORED.findall(_read_status(pid))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def _parse_holders(table: str) -> list[tuple[Device, int]]:
    """Read lines like `1: FLOCK  ADVISORY  WRITE 8306 fe:00:2155987 0 EOF`; waiting ones have `->` before FLOCK."""
    fields = (line.split() for line in table.splitlines())
    return [
        (_parse_device(words[5]), int(words[4]))
        for words in fields
        if len(words) >= 6 and words[1] == "FLOCK" and words[3] == "WRITE" and words[4].isdecimal()
    ]


def _parse_device(text: str) -> Device:
    major, minor, inode = text.split(":")
    return int(major, 16), int(minor, 16), int(inode)


def _judge_holder(pid: int, expid: str, trusted: set[int]) -> Liveness:
    """Tell a run from the commands that hold the same lock for a moment (create, setstatus, pklfix), and from others.

    `trusted` are the uids of whom a command line is believed.
    """
    process, uid, line = f"process {pid} on {platform.node()}", _read_uid(pid), _read_command_line(pid)
    if uid is None or (uid in trusted and line is None):
        return Liveness(True, pid, f"{process} holds the lock; what it is cannot be seen, so that it counts as a run")
    words = _skip_program(line or [])
    if uid not in trusted or not words:
        holder = f"process {pid} of {get_name(uid)} on {platform.node()}"
        return Liveness(False, pid, f"{holder} holds the lock, but is no run of {expid}", holder)
    if "run" in words and expid in words:
        told = {"owner": get_name(uid), "command": shlex.join(["autosubmit", *words])}
        return Liveness(True, pid, f"{process} holds the lock", **told)
    command = next((word for word in words if not word.startswith("-")), "another command")
    return Liveness(False, pid, f"{process} holds the lock for {command}, not for a run")
