"""Unix accounts for tests: a service account, and one that sudo lets it become."""

import os
import pwd
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    if os.geteuid() != 0 or not SUDOERS.is_dir() or not shutil.which("useradd"):
        pytest.skip("needs root, sudo and useradd, to make Unix accounts")
    made = Accounts(f"apservice{os.getpid()}", f"apperson{os.getpid()}", Path(f"/tmp/apservice{os.getpid()}"))
    rule = SUDOERS / made.service
    try:
        for name in (made.service, made.person):
            subprocess.run(["useradd", "--create-home", "--base-dir", "/tmp", name], check=True)
        rule.write_text(
            f'Defaults:{made.service} env_keep += "AUTOSUBMIT_CONFIGURATION"\n'
            f"{made.service} ALL=({made.person}) NOPASSWD: /bin/sh, /usr/bin/kill\n"
        )
        rule.chmod(0o440)
        yield made
    finally:
        rule.unlink(missing_ok=True)
        for name in (made.service, made.person):
            for pid in processes_of(name):
                os.kill(pid, signal.SIGKILL)
            subprocess.run(["userdel", "--remove", "--force", name], check=False, capture_output=True)


def processes_of(name: str) -> list[int]:
    """Return what runs as that account."""
    uid = pwd.getpwnam(name).pw_uid
    found = (path for path in Path("/proc").glob("[0-9]*") if path.exists())
    return [int(path.name) for path in found if path.stat().st_uid == uid and not _is_zombie(path)]


def _is_zombie(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


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
