"""Commands on this host."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from autosubmit_portal.access.unix import explain_unusable, get_uid
from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.liveness import read_process_fields
from experiments.models import Site
from experiments.runners.base import Look, Runner

LAUNCHER = Path(__file__).with_name("launch.sh")
MOST_OUTPUT_BYTES = 64 * 1024 * 1024
KEPT_OUTPUT_BYTES = 8 * 1024 * 1024
# Autosubmit saves its job list before it ends; that takes seconds on ten thousand jobs.
PATIENCE_SECONDS = 15.0

# By their full names, as sudoers has them.
SUDO, ENV, KILL = "/usr/bin/sudo", "/usr/bin/env", "/usr/bin/kill"
# It answers at once or hangs on a directory service.
SUDO_SECONDS = 10.0

# Launchers that this process started and that have not been reaped; they outlive us, we need not outlive them.
_launched: list[subprocess.Popen[bytes]] = []


class LocalRunner(Runner):
    """Runs the commands of a site on this host, as the account of the worker or, with sudo, as another one."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def start(self, argv: Sequence[str], directory: Path, unix_name: str = "") -> None:
        """Start the launcher in its own session; nothing of ours waits for it or holds its output."""
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.mkdir(mode=0o700)
        if unix_name and get_uid(unix_name) == os.getuid():
            unix_name = ""
        if unix_name:
            argv = wrap_as_account(unix_name, argv)
            (directory / "account").write_text(unix_name, encoding="utf-8")
        (directory / "argv").write_text(
            "".join(f"{_escape(argument)}\n" for argument in argv), encoding="utf-8"
        )
        (directory / "output").touch(mode=0o600)
        _reap()
        process = subprocess.Popen(
            ["/bin/sh", str(LAUNCHER), str(directory)],
            cwd=directory,
            env=make_environment(
                Path(self.site.autosubmit),
                self.site.home_folder,
                settings.CACHES_DIRECTORY,
                self._get_configuration(unix_name),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=settings.COMMANDS_UMASK,
            # Queue workers ignore SIGINT; a run that inherits that cannot be stopped.
            preexec_fn=_restore_signals,  # noqa: PLW1509
        )
        _launched.append(process)

    def _get_configuration(self, unix_name: str) -> str:
        """Return the configuration that says where the store is: accounts with another home would not find it."""
        own = str(self.site.home_folder / ".autosubmitrc") if unix_name else ""
        return self.site.configuration or own

    def look(self, directory: Path) -> Look:
        """Ask the kernel whether the launcher is still the process that it was, then read the exit status.

        In this order, because a launcher that is gone has left its exit status, if it could.
        """
        _reap()
        pid, _, started = _read(directory / "pid").partition(" ")
        is_alive = bool(pid) and _get_process_start(int(pid)) == started.strip()
        status = _read(directory / "exit_status")
        if status:
            return Look(has_started=True, exit_status=int(status))
        return Look(has_started=bool(pid), is_alive=is_alive)

    def give_up(self, directory: Path) -> bool:
        """Make the `pid` that the launcher would make, empty."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            (directory / "pid").touch(mode=0o600, exist_ok=False)
        return not _read(directory / "pid")

    def end(self, directory: Path) -> None:
        """Signal the group of the launcher; the file `ending` remembers since when."""
        ending = directory / "ending"
        if not ending.exists():
            ending.touch()
            self._signal(directory, signal.SIGTERM)
        elif time.time() - ending.stat().st_mtime > PATIENCE_SECONDS:
            self._signal(directory, signal.SIGKILL)

    def _signal(self, directory: Path, number: signal.Signals) -> None:
        if not self.look(directory).is_alive:
            return
        group = int(_read(directory / "pid").split()[0])
        unix_name = _read(directory / "account")
        if unix_name and number is signal.SIGKILL:  # sudo cannot pass this one on
            _signal_as(unix_name, number, -group)
            return
        with suppress(ProcessLookupError):
            os.killpg(group, number)

    def interrupt(self, directory: Path, pid: int, mark: str) -> bool:
        """Compare the start times that the kernel tells; the file `interrupt-MARK` is made once."""
        _, _, command_started = _read(directory / "pid").partition(" ")
        started = _get_process_start(pid)
        if not (started and command_started) or int(started) >= int(command_started):
            return False
        try:
            (directory / f"interrupt-{mark}").touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return False
        unix_name = _read(directory / "account")
        if unix_name:
            _signal_as(unix_name, signal.SIGINT, pid)
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGINT)
        return True

    def read_output(self, directory: Path, offset: int, limit: int) -> tuple[bytes, int]:
        """Read a part of the output file; an absent file is empty."""
        try:
            with (directory / "output").open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(min(offset, size))
                return file.read(limit), size
        except FileNotFoundError:
            return b"", 0

    def bound_output(self, directory: Path) -> None:
        """Keep the newest part. The command appends, so it goes on at the new end of the file."""
        _, size = self.read_output(directory, 0, 0)
        if size <= MOST_OUTPUT_BYTES:
            return
        kept, _ = self.read_output(directory, size - KEPT_OUTPUT_BYTES, KEPT_OUTPUT_BYTES)
        os.truncate(directory / "output", 0)
        with (directory / "output").open("ab") as file:
            file.write(b"[earlier output was dropped]\n" + kept)


def wrap_as_account(unix_name: str, argv: Sequence[str]) -> list[str]:
    """Return the argv that runs `argv` as another Unix account.

    sudo makes a fresh environment and keeps only the path of the site's configuration. It starts at the root of the
    file system, because the account may not see the run directory. Raises PermissionError for what is no account of
    this host, and for root, which no request may become: for sudo `#0` is a name too.
    """
    reason = explain_unusable(unix_name)
    if reason:
        raise PermissionError(reason)
    kept = "--preserve-env=AUTOSUBMIT_CONFIGURATION"
    return [ENV, "--chdir=/", SUDO, "-n", "-H", "-u", unix_name, kept, "--", *argv]


def _signal_as(unix_name: str, number: signal.Signals, target: int) -> None:
    """Signal a process of an account or, with a negative number, the account's processes of a group.

    The launcher belongs to the portal's account and goes on, to write the exit status.
    """
    name = number.name.removeprefix("SIG")
    command = [SUDO, "-n", "-u", unix_name, "--", KILL, f"-{name}", "--", str(target)]
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=SUDO_SECONDS)


def _reap() -> None:
    _launched[:] = [process for process in _launched if process.poll() is None]


def _restore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _escape(argument: str) -> str:
    return argument.replace("\\", "\\\\").replace("\n", "\\n")


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def _get_process_start(pid: int) -> str | None:
    """Return the start time of a living process in clock ticks since boot (field 22 of stat); None for none."""
    fields = read_process_fields(pid)
    return fields[19] if fields else None
