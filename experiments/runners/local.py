"""Commands on this host."""

import os
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from autosubmit_portal.access.unix import explain_unusable, get_uid
from autosubmit_portal.agent.accounts import SUDO
from autosubmit_portal.agent.run_directory import RunDirectory, State, make_digest
from experiments.autosubmit.environment import make_environment
from experiments.models import Site
from experiments.runners.base import Look, Runner

ENV = "/usr/bin/env"


class LocalRunner(Runner):
    """Runs the commands of a site on this host, as the account of the worker or, with sudo, as another one."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def start(self, argv: Sequence[str], directory: Path, unix_name: str = "") -> None:
        """Make the run directory, which tells who was first, and start the launcher."""
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.mkdir(mode=0o700)
        if unix_name and get_uid(unix_name) == os.getuid():
            unix_name = ""
        if unix_name:
            argv = wrap_as_account(unix_name, argv)
        run = RunDirectory(directory)
        if not run.take(make_digest(argv)):
            raise FileExistsError(directory)
        run.prepare(argv, unix_name)
        environment = make_environment(
            Path(self.site.autosubmit),
            self.site.home_folder,
            settings.CACHES_DIRECTORY,
            self._get_configuration(unix_name),
        )
        run.launch(environment, settings.COMMANDS_UMASK)

    def _get_configuration(self, unix_name: str) -> str:
        """Return the configuration that says where the store is: accounts with another home would not find it."""
        own = str(self.site.home_folder / ".autosubmitrc") if unix_name else ""
        return self.site.configuration or own

    def look(self, directory: Path) -> Look:
        """Tell what the run directory tells; a command of before a restart of the host has no evidence of its own."""
        look = RunDirectory(directory).look()
        return Look(
            has_started=look.state not in (State.NOT_STARTED, State.GIVEN_UP),
            is_alive=look.state is State.ALIVE,
            exit_status=look.exit_status,
        )

    def give_up(self, directory: Path) -> bool:
        """Take the place of the launcher."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return RunDirectory(directory).give_up()

    def end(self, directory: Path) -> None:
        """Signal the group of the launcher."""
        RunDirectory(directory).end()

    def interrupt(self, directory: Path, pid: int, mark: str) -> bool:
        """Compare the start times that the kernel tells."""
        return RunDirectory(directory).interrupt(pid, mark)

    def read_output(self, directory: Path, offset: int, limit: int) -> tuple[bytes, int]:
        """Read a part of the output file; an absent file is empty."""
        piece = RunDirectory(directory).read_output(offset, limit)
        return piece.data, piece.size

    def bound_output(self, directory: Path) -> None:
        """Keep the newest part."""
        RunDirectory(directory).bound_output()


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
