"""Unix accounts for tests: a service account, and one that sudo lets it become."""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.shared import run_folder
from tests.support.waiting import wait_for

SUDOERS = Path("/etc/sudoers.d")


@dataclass(frozen=True, slots=True)
class Accounts:
    """The names of a service account and of a person; `folder` is the service account's."""

    service: str
    person: str
    folder: Path


@contextmanager
def unix_accounts() -> Iterator[Accounts]:
    """Make two accounts and the line of sudoers that docs/duty.md tells; skip where that cannot be done."""
    made = Accounts(f"apservice{os.getpid()}", f"apperson{os.getpid()}", Path(f"/tmp/apservice{os.getpid()}"))
    rule = (
        f'Defaults:{made.service} env_keep += "AUTOSUBMIT_CONFIGURATION AS_ENV_* SSH_AUTH_SOCK"\n'
        f"{made.service} ALL=({made.person}) NOPASSWD: /bin/sh, /usr/bin/kill\n"
    )
    with new_accounts(made.service, made.person), sudoers(made.service, rule):
        yield made


@contextmanager
def new_accounts(*names: str) -> Iterator[None]:
    """Make accounts with homes in /tmp, and remove them with all that they run; skip where that cannot be done."""
    if os.geteuid() != 0 or not SUDOERS.is_dir() or not shutil.which("useradd"):
        pytest.skip("needs root, sudo and useradd, to make Unix accounts")
    try:
        for name in names:
            change_accounts("useradd", "--create-home", "--base-dir", "/tmp", name)
        yield
    finally:
        for name in names:
            end_processes_of(name)
            change_accounts("userdel", "--remove", "--force", name, check=False)


def change_accounts(*command: str, check: bool = True) -> None:
    """Run a program that writes the accounts of the host, when no other test does: it would not wait for long."""
    with (run_folder() / "accounts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(command, check=check, capture_output=not check)


@contextmanager
def sudoers(name: str, rule: str) -> Iterator[None]:
    """Let sudo follow a rule."""
    file = SUDOERS / name
    new = file.with_name(f"{name}.new")  # sudo reads no file with a dot
    try:
        new.write_text(rule)
        new.chmod(0o440)
        new.rename(file)
        yield
    finally:
        file.unlink(missing_ok=True)


def end_processes_of(name: str) -> None:
    """Kill what runs as an account, and what that has started meanwhile, until nothing is left."""
    wait_for(lambda: not _kill_processes_of(name))


def _kill_processes_of(name: str) -> list[int]:
    found = processes_of(name) if any(account.pw_name == name for account in pwd.getpwall()) else []
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def processes_of(name: str) -> list[int]:
    """Return what runs as that account."""
    uid = pwd.getpwnam(name).pw_uid
    found = Path("/proc").glob("[0-9]*")
    return [int(path.name) for path in found if _is_process_of(uid, path)]


def _is_process_of(uid: int, process: Path) -> bool:
    """Return whether that is a process of the account that has not ended."""
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return process.stat().st_uid == uid and state != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def as_user(name: str, call: Callable[[], object]) -> None:
    """Call something in a process of that account, and wait for its end."""
    account = pwd.getpwnam(name)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            call()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
