"""Where the commands of a portal are at a site: a run directory for each key, on the local disk of a host.

A key is used once: its first request is kept, and another one is refused, also after the command was forgotten.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from autosubmit_portal.agent import accounts, files
from autosubmit_portal.agent.run_directory import RunDirectory, State
from autosubmit_portal.agent.site_file import BadSiteFileError, read_site_file
from autosubmit_portal.sentences import add, say

_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a portal of before agents has started: number of the action, number of the step.
_LEGACY = re.compile(r"legacy:(\d{1,18}/\d{1,5})")
# A request that was sent before its command was forgotten has long arrived.
TOMBSTONE_SECONDS = 30 * 24 * 3600.0


# How a command that is prepared is launched.
Launch = Callable[[RunDirectory, Mapping[str, str], int], None]


def make_spool(site_file: Path) -> None:
    """Make the folder that the file of the site names. Raises BadSiteFileError with the remedy if it cannot be."""
    folder = read_site_file(site_file).spool
    try:
        files.make_private(folder)
    except OSError as error:
        account = accounts.get_name(os.getuid())
        remedy = f"make it as root: install -d -o {account} -m 0700 {folder}"
        raise BadSiteFileError(
            f"{account} cannot make the spool {folder} ({error.strerror or error}); {remedy}"
        ) from error


class Outcome(Enum):
    """What became of a request to start a command."""

    STARTED = "started"
    STARTED_BEFORE = "started before"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Start:
    """The answer to a request to start a command; `why` says why it was refused."""

    outcome: Outcome
    why: str = ""


class Spool:
    """The run directories of one portal; those of before keys are in a folder of their own, if there is one."""

    def __init__(self, root: Path, portal: str, legacy: Path | None = None) -> None:
        self.folder = root / _check_name(portal)
        self._legacy = legacy

    def find(self, key: str) -> RunDirectory:
        """Return the run directory of a key, which may not exist yet; ValueError for what is no key."""
        found = _LEGACY.fullmatch(key) if self._legacy else None
        return RunDirectory(self._legacy / found[1] if found and self._legacy else self.folder / _check_name(key))

    def start(
        self,
        key: str,
        digest: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        umask: int,
        *,
        account: str = "",
        launch: Launch = RunDirectory.launch,
    ) -> Start:
        """Start a command, once for all time and whoever else tries; `account` is blank for our own.

        Raises OSError when nobody can tell whether it was, and PermissionError for an account that nothing may run as.
        """
        run = RunDirectory(self.folder / _check_name(key))
        if account:
            argv = accounts.wrap_as_account(account, argv, environment)
        try:
            answer = self._take(run, digest)
            if not answer:
                run.prepare(argv, account)
        except OSError as error:
            if not _give_up(run):
                raise
            return Start(Outcome.REFUSED, self._explain_failure(error))
        if answer:
            return answer
        launch(run, environment, umask)
        return Start(Outcome.STARTED)

    def _take(self, run: RunDirectory, digest: str) -> Start | None:
        """Take a run directory for a request; return why its command is not to be started, if it is not."""
        self._make(run)
        if run.is_forgotten:
            return Start(Outcome.REFUSED, say("The command of this key was forgotten."))
        if not run.take(digest):
            return Start(Outcome.REFUSED, say("Another request was made with this key."))
        state = run.look().state
        if state is State.GIVEN_UP:
            return Start(Outcome.REFUSED, say("The command of this key was given up."))
        return None if state is State.NOT_STARTED else Start(Outcome.STARTED_BEFORE)

    def _explain_failure(self, error: OSError) -> str:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = say("The agent cannot write in {folder}: {error}.", folder=self.folder, error=error.strerror or error)
        room = say("Make room there, then request the action again.")
        rights = say("Let the agent's account write there, then request the action again.")
        return add(said, room if is_full else rights)

    def give_up(self, key: str) -> bool:
        """Make sure that the command of a key never starts, though the key was never heard of; False if it has."""
        run = self.find(key)
        self._make(run)
        return run.give_up()

    def forget(self, key: str) -> bool:
        """Remove all of a command but that its key is used; return False if it may still be needed."""
        run = self.find(key)
        if run.look().state in (State.NOT_STARTED, State.ALIVE, State.UNKNOWN):
            return False
        run.forget()
        if _LEGACY.fullmatch(key):  # nothing is ever started under such a key, so that nothing needs to keep it
            shutil.rmtree(run.path, ignore_errors=True)
            with suppress(OSError):  # another step of its action is there still
                run.path.parent.rmdir()
        return True

    def prune(self) -> None:
        """Remove what is left of commands that were forgotten long ago."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if RunDirectory(path).is_forgotten and time.time() - path.stat().st_mtime > TOMBSTONE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)  # another agent may be pruning too

    def _make(self, run: RunDirectory) -> None:
        """Make the run directory, and bring its name to the disk: what a crash forgets could start again."""
        files.make_private(run.path)
        files.sync_folder(run.path.parent)


def _give_up(run: RunDirectory) -> bool:
    """Make sure that what could not be written never starts; False if it has started, or may have."""
    with suppress(FileNotFoundError):
        return run.give_up()
    return True  # there is no request, before which nothing is launched


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(say("{name} is no key.", name=ascii(name)))
    return name
