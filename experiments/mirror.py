"""The mirror: a store into rows. Unchanged experiments cost a few `stat` calls and no query."""

import logging
import os
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.utils import timezone

from experiments.autosubmit.environment import environment
from experiments.autosubmit.liveness import Liveness, liveness, read_locks
from experiments.autosubmit.store import (
    BrokenStore,
    ExperimentRecord,
    Fingerprint,
    Store,
    database_fingerprint,
    fingerprint,
    locate,
    read_experiments,
)
from experiments.models import Experiment, Run, Site
from jobs.autosubmit.history import RunRecord, UnreadableHistory, read_job_times, read_runs
from jobs.autosubmit.job_list import UnreadableJobList, read_dependencies, read_job_list
from jobs.mirror import fitted, sync

logger = logging.getLogger(__name__)

# A file that could not be read is tried again so often even if it does not change; it may have been locked.
RETRY_SECONDS = 30.0
HEARTBEAT_SECONDS = 5.0
PROGRAM_CHECK_SECONDS = 60.0

Seen = tuple[Fingerprint, bool]


def refresh(experiment: Experiment) -> None:
    """Read one experiment anew, whatever was seen before.

    Raises BrokenStore when the site's store cannot be found. A file that cannot be read leaves the last good mirror
    in place and is told in `problem`.
    """
    store = _store_of(experiment.site)
    alive = liveness(store.lock_file(experiment.expid), read_locks())
    try:
        _refresh(experiment, store, fingerprint(store, experiment.expid), alive)
    except (UnreadableJobList, UnreadableHistory) as problem:
        _say_unreadable(experiment, alive, str(problem))


def adopt(site: Site, expid: str) -> Experiment | None:
    """Mirror an experiment that was just created and return it; None if the store does not know it."""
    store = _store_of(site)
    record = next((record for record in read_experiments(store) if record.expid == expid), None)
    if record is None:
        return None
    _sync_experiment(site, record)
    experiment = Experiment.objects.select_related("site").get(site=site, expid=expid)
    refresh(experiment)
    return experiment


@dataclass(slots=True)
class SiteMirror:
    """What the mirror process remembers of one site between its passes."""

    site_id: int
    is_patient: bool = True
    database_seen: Fingerprint | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    unreadable: dict[str, tuple[Fingerprint, float]] = field(default_factory=dict)
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
            store = _store_of(site)
            self._sync_experiments(site, store)
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

    def _sync_experiments(self, site: Site, store: Store) -> None:
        now = database_fingerprint(store)
        if now == self.database_seen:
            return
        records = read_experiments(store)
        for record in records:
            _sync_experiment(site, record)
        _mark_gone(site, {record.expid for record in records})
        self._recall(site)
        self.database_seen = now

    def _recall(self, site: Site) -> None:
        """Remember what is mirrored already, so that a new mirror process starts where the last one ended."""
        rows = Experiment.objects.filter(site=site, gone_at=None)
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
            if was_running and not alive.is_running:
                ended.append(experiment)
        return ended

    def _is_too_soon(self, expid: str, now: Fingerprint) -> bool:
        files, again_at = self.unreadable.get(expid, (None, 0.0))
        return files == now and time.monotonic() < again_at

    def _refreshed(self, experiment: Experiment, store: Store, now: Fingerprint, alive: Liveness) -> bool:
        """Refresh; on failure keep the last good mirror and tell the problem, so that nothing stops the others."""
        try:
            _refresh(experiment, store, now, alive)
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
        _say_unreadable(experiment, alive, problem)

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


def _store_of(site: Site) -> Store:
    return locate(site.home_folder, site.configuration_file)


def _say_problem(site: Site, problem: str) -> None:
    if site.problem != problem:
        Site.objects.filter(pk=site.pk).update(problem=problem)
        logger.warning("Site %s: %s", site, problem or "healthy again")


def _seen_rows(rows: Any) -> Any:
    return rows.values_list("expid", "fingerprint", "is_running")


def _as_fingerprint(stored: list[list[int]]) -> Fingerprint:
    return tuple((mtime, size, inode) for mtime, size, inode in stored)


def _sync_experiment(site: Site, record: ExperimentRecord) -> None:
    fields = (name for name in record.__dataclass_fields__ if name != "expid")
    values = fitted(Experiment, {name: getattr(record, name) for name in fields})
    experiment, is_new = Experiment.objects.get_or_create(site=site, expid=record.expid, defaults=values)
    differing = {name for name, value in values.items() if getattr(experiment, name) != value}
    if not is_new and (differing or experiment.gone_at):
        Experiment.objects.filter(pk=experiment.pk).update(**values, gone_at=None)


def _mark_gone(site: Site, expids: set[str]) -> None:
    for experiment in Experiment.objects.filter(site=site, gone_at=None).only("expid"):
        if experiment.expid not in expids:
            Experiment.objects.filter(pk=experiment.pk).update(gone_at=timezone.now())


def _refresh(experiment: Experiment, store: Store, files: Fingerprint, alive: Liveness) -> None:
    """Write what the store says of one experiment; raise UnreadableJobList or UnreadableHistory, changing nothing."""
    content = _read(store, experiment.expid)
    with transaction.atomic():
        Experiment.objects.select_for_update().get(pk=experiment.pk)
        counts = sync(experiment.pk, content.jobs, content.times, content.dependencies)
        _sync_runs(experiment, content.runs)
        Experiment.objects.filter(pk=experiment.pk).update(
            **_seen_alive(alive),
            status_counts=counts,
            total_jobs=sum(counts.values()),
            problem="",
            fingerprint=files,
            changed_at=_changed_at(files),
            refreshed_at=timezone.now(),
        )


def _say_unreadable(experiment: Experiment, alive: Liveness, problem: str) -> None:
    Experiment.objects.filter(pk=experiment.pk).update(**_seen_alive(alive), problem=problem)


def _seen_alive(alive: Liveness) -> dict[str, Any]:
    return {"is_running": alive.is_running, "evidence": alive.evidence}


@dataclass(frozen=True, slots=True)
class _Content:
    jobs: list[Any]
    dependencies: list[tuple[str, str]]
    times: dict[str, Any]
    runs: list[RunRecord]


def _read(store: Store, expid: str) -> _Content:
    try:
        jobs = read_job_list(store.job_list(expid))
    except FileNotFoundError:  # not generated yet
        jobs = []
    history = store.history_database(expid)
    dependencies = read_dependencies(store.structure_database(expid))
    return _Content(jobs, dependencies, read_job_times(history), read_runs(history))


def _sync_runs(experiment: Experiment, records: list[RunRecord]) -> None:
    rows = [
        Run(experiment=experiment, **{name: getattr(record, name) for name in record.__dataclass_fields__})
        for record in records
    ]
    Run.objects.filter(experiment=experiment).exclude(run_id__in=[row.run_id for row in rows]).delete()
    Run.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["experiment", "run_id"],
        update_fields=[name for name in RunRecord.__dataclass_fields__ if name != "run_id"],
    )


def _changed_at(files: Fingerprint) -> datetime | None:
    newest = max((mtime for mtime, _, _ in files), default=0)
    return datetime.fromtimestamp(newest / 1e9, UTC) if newest else None
