"""The passes of the mirror process over a site: what has changed is read, the rest costs a few `stat` calls."""

import logging
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError
from django.utils import timezone

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from experiments.autosubmit.environment import environment
from experiments.autosubmit.liveness import Liveness, liveness, read_locks
from experiments.autosubmit.store import (
    BrokenStore,
    Fingerprint,
    Store,
    database_fingerprint,
    fingerprint,
    read_experiments,
)
from experiments.mirror import mark_gone, say_unreadable, store_of, sync_experiments, write
from experiments.models import Experiment, Site, State
from experiments.models.experiment import RUN_KINDS
from jobs.autosubmit.history import UnreadableHistory
from jobs.autosubmit.job_list import UnreadableJobList

logger = logging.getLogger(__name__)

# A file that could not be read is tried again so often even if it does not change; it may have been locked.
RETRY_SECONDS = 30.0
HEARTBEAT_SECONDS = 5.0
PROGRAM_CHECK_SECONDS = 60.0

Seen = tuple[Fingerprint, bool]


@dataclass(slots=True)
class SiteMirror:
    """What the mirror process remembers of one site between its passes."""

    site_id: int
    is_patient: bool = True
    database_seen: Fingerprint | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    unreadable: dict[str, tuple[Fingerprint, float]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    program_seen: tuple[str, float] | None = None
    program_checked: float = 0.0
    beaten: float = 0.0

    def look(self) -> list[Experiment]:
        """Make one pass; return the experiments whose run was seen to end.

        A broken store or program makes the site unhealthy with the reason. A broken experiment never stops the others.
        """
        site = Site.objects.get(pk=self.site_id)
        try:
            self._check_program(site)
            store = store_of(site)
            self._read_experiments(site, store)
        except BrokenStore as problem:
            self.database_seen = None
            _say_problem(site, str(problem))
            return []
        _say_problem(site, "")
        ended = self._look_at_experiments(site, store)
        self._beat(site)
        return ended

    def _check_program(self, site: Site) -> None:
        """Ask the program for its version when it is new, has changed, or was broken a while ago."""
        try:
            state = (site.autosubmit, os.stat(site.autosubmit).st_mtime)
        except OSError as error:
            self.program_seen = None
            raise BrokenStore(
                f"The Autosubmit program {site.autosubmit} is missing: {error.strerror}."
            ) from error
        if self.program_seen == state:
            return
        if (
            site.problem
            and time.monotonic() - self.program_checked < PROGRAM_CHECK_SECONDS
            and self.program_checked
        ):
            raise BrokenStore(site.problem)
        self.program_checked = time.monotonic()
        version = program_version(Path(site.autosubmit), site.home_folder)
        Site.objects.filter(pk=site.pk).update(autosubmit_version=version)
        self.program_seen = state

    def _read_experiments(self, site: Site, store: Store) -> None:
        now = database_fingerprint(store)
        if now == self.database_seen:
            return
        records = read_experiments(store)
        sync_experiments(site, records)
        mark_gone(site, {record.expid for record in records})
        self._recall(site)
        self.database_seen = now

    def _recall(self, site: Site) -> None:
        """Remember what is mirrored already, so that a new mirror process starts where the last one ended."""
        rows = Experiment.objects.filter(site=site, gone_at=None)
        if not self.seen:
            running = rows.filter(is_running=True)
            self.foreign = {experiment.expid for experiment in running if not _is_ours(experiment)}
        known = {expid: (_as_fingerprint(seen), running) for expid, seen, running in _seen_rows(rows)}
        self.seen = {expid: self.seen.get(expid, seen) for expid, seen in known.items()}

    def _look_at_experiments(self, site: Site, store: Store) -> list[Experiment]:
        locks = read_locks()
        ended = []
        for expid, (files, was_running) in list(self.seen.items()):
            now = fingerprint(store, expid)
            alive = liveness(store.lock_file(expid), locks)
            if (now, alive.is_running) == (files, was_running) or self._is_too_soon(expid, now):
                continue
            experiment = Experiment.objects.select_related("site").get(site=site, expid=expid)
            if self._refreshed(experiment, store, now, alive):
                self.seen[expid] = (now, alive.is_running)
            if was_running != alive.is_running:
                self._notice(experiment, alive)
            if was_running and not alive.is_running:
                ended.append(experiment)
        return ended

    def _notice(self, experiment: Experiment, alive: Liveness) -> None:
        """Record a run that somebody started outside of the portal, and its end; our own runs have their actions."""
        is_known = experiment.expid in self.foreign
        if alive.is_running and not is_known and not _is_ours(experiment):
            self.foreign.add(experiment.expid)
            _record(experiment, "experiment.run_started_outside", alive)
        elif not alive.is_running and is_known:
            self.foreign.remove(experiment.expid)
            _record(experiment, "experiment.run_ended_outside", alive)

    def _is_too_soon(self, expid: str, now: Fingerprint) -> bool:
        files, again_at = self.unreadable.get(expid, (None, 0.0))
        return files == now and time.monotonic() < again_at

    def _refreshed(self, experiment: Experiment, store: Store, now: Fingerprint, alive: Liveness) -> bool:
        """Refresh; on failure keep the last good mirror and tell the problem, so that nothing stops the others."""
        try:
            write(experiment, store, now, alive)
        except (DataError, IntegrityError) as error:  # a value that no column takes
            self._tell(experiment, now, alive, f"The store holds a value that cannot be kept: {error}.")
            return False
        except DatabaseError:
            raise
        except (UnreadableJobList, UnreadableHistory) as problem:
            self._tell(experiment, now, alive, str(problem))
            return False
        except Exception as error:  # whatever else a hostile file provokes
            logger.exception("%s could not be mirrored", experiment)
            self._tell(experiment, now, alive, f"The store could not be read: {error!r}.")
            return False
        self.unreadable.pop(experiment.expid, None)
        return True

    def _tell(self, experiment: Experiment, now: Fingerprint, alive: Liveness, problem: str) -> None:
        """Tell a problem the second time that it is seen: a file that is just being written reads well soon."""
        is_new = self.unreadable.get(experiment.expid, (None, 0.0))[0] != now
        if is_new and self.is_patient:
            self.unreadable[experiment.expid] = (now, 0.0)
            return
        self.unreadable[experiment.expid] = (now, time.monotonic() + RETRY_SECONDS)
        say_unreadable(experiment, alive, problem)

    def _beat(self, site: Site) -> None:
        if time.monotonic() - self.beaten > HEARTBEAT_SECONDS or not self.beaten:
            Site.objects.filter(pk=site.pk).update(mirrored_at=timezone.now())
            self.beaten = time.monotonic()


def program_version(program: Path, home: Path) -> str:
    """Return what `autosubmit --version` says; raise BrokenStore with the reason and the remedy when it cannot run."""
    try:
        done = subprocess.run(
            [str(program), "--version"],
            env=environment(program, home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,  # it takes 3 s; a minute means that the file system hangs
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokenStore(
            f"The Autosubmit program {program} cannot run: {error}. Repair the installation."
        ) from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        reason = last[0] if last else f"exit status {done.returncode}"
        raise BrokenStore(f"The Autosubmit program {program} is broken: {reason}. Repair the installation.")
    return done.stdout.strip().splitlines()[-1].split()[-1]


def _say_problem(site: Site, problem: str) -> None:
    if site.problem != problem:
        Site.objects.filter(pk=site.pk).update(problem=problem)
        logger.warning("Site %s: %s", site, problem or "healthy again")


def _seen_rows(rows: Any) -> Any:
    return rows.values_list("expid", "fingerprint", "is_running")


def _as_fingerprint(stored: list[list[int]]) -> Fingerprint:
    return tuple((mtime, size, inode) for mtime, size, inode in stored)


def _is_ours(experiment: Experiment) -> bool:
    return experiment.actions.filter(state=State.RUNNING, kind__in=RUN_KINDS, is_dry_run=False).exists()


def _record(experiment: Experiment, event: str, alive: Liveness) -> None:
    trail.record(
        event,
        origin=Origin(door=Door.MIRROR),
        subject=experiment.expid,
        site=experiment.site.slug,
        expid=experiment.expid,
        message=alive.evidence,
    )
