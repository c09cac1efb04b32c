"""The passes of the mirror process over a site: what has changed is read, the rest costs a few `stat` calls."""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.utils import timezone

from experiments.autosubmit.command_logs import StopLogs
from experiments.autosubmit.liveness import Liveness, Locks, check_liveness, read_locks
from experiments.autosubmit.program import read_program_version
from experiments.autosubmit.store import (
    BrokenStore,
    Fingerprint,
    Store,
    is_job_list_touched,
    read_experiments,
    read_statuses,
    take_database_fingerprint,
    take_fingerprint,
    take_status_fingerprint,
)
from experiments.backlog import Backlog
from experiments.mirror import external_changes
from experiments.mirror.consistency import Doubts
from experiments.mirror.lease import Lease, LostLease, get_holder
from experiments.mirror.round_robin import RoundRobin
from experiments.mirror.sync import (
    Content,
    Overtaken,
    Owner,
    locate_store,
    read,
    read_owner,
    restore_fingerprint,
    say_locked,
    say_unreadable,
    sync_owner,
    sync_statuses,
    write,
)
from experiments.models import Action, Experiment, Site
from experiments.registry import mark_all_gone_but, read_numbers, sync_experiments
from experiments.row_cache import Cached, RowCache
from jobs.autosubmit.database import UnreadableDatabase
from jobs.autosubmit.history import UnreadableHistory
from jobs.autosubmit.job_list import UnreadableJobList

logger = logging.getLogger(__name__)

Seen = tuple[Fingerprint, bool]
"""The files of an experiment as they were when it was read (none: never), and whether it ran."""

# A file that could not be read is tried again even if it does not change, since it may have been locked: after so many
# seconds at first, then after twice as many each time.
RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 3600.0
HEARTBEAT_SECONDS = 5.0
PROGRAM_CHECK_SECONDS = 60.0
# An experiment that has changed is looked at in every pass for so long.
RECENT_SECONDS = 60.0
# Of each round of `refresh_seconds`, so much goes to the quiet ones: to see whether their job lists have changed, and
# to look at all of their files. However slow the file system is, each comes up within so many seconds.
GLANCE_SHARE, GLANCE_TURN_SECONDS = 0.25, 30.0
LOOK_SHARE, LOOK_TURN_SECONDS = 0.05, 60.0
LEAST_LOOKS = 100
# A list that is read in a moment is waited for; a larger one is written in the pass in which it is read.
SMALL_BYTES, PATIENCE_SECONDS = 1_000_000, 5.0
HOLD_SECONDS = 1.0
# Of a list that changes again and again only new rows are read, and after so many seconds all of it once more.
CHECK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Files that could not be read, when they are tried again (monotonic clock), and how long they wait after that."""

    files: Fingerprint
    again_at: float = 0.0
    wait_seconds: float = RETRY_SECONDS

    @property
    def is_told(self) -> bool:
        """Whether that was seen often enough to be told."""
        return self.again_at > 0

    def postpone(self) -> "Unreadable":
        """Return the same files with the next try, and a longer wait for the one after it."""
        longer = min(2 * self.wait_seconds, LONGEST_RETRY_SECONDS)
        return Unreadable(self.files, time.monotonic() + self.wait_seconds, longer)


@dataclass(frozen=True, slots=True)
class Reading:
    """An experiment that is being read beside what the mirror does else, as it was when that began."""

    experiment: Experiment
    files: Fingerprint
    alive: Liveness
    future: Future[Content]
    size: int

    @property
    def expid(self) -> str:
        """The expid of the experiment."""
        return self.experiment.expid

    @property
    def patience(self) -> float:
        """For how many seconds more it is waited for when the time of a pass is over."""
        return PATIENCE_SECONDS if self.size < SMALL_BYTES else 0.0


@dataclass(slots=True)
class SiteMirror:
    """What the mirror process remembers of one site between its passes.

    `is_patient` is False for a single pass, which looks at everything and tells what it sees at once. `is_behind` says
    whether the last pass left something to be written in the next.
    """

    site_id: int
    is_patient: bool = True
    is_standing_by: bool = True
    is_behind: bool = False
    lease: Lease = field(init=False)
    database_seen: Fingerprint | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    recent: dict[str, float] = field(default_factory=dict)
    glances: RoundRobin = field(default_factory=RoundRobin)
    looks: RoundRobin = field(default_factory=RoundRobin)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    program_seen: tuple[str, float] | None = None
    program_checked: float = 0.0
    beaten: float = 0.0
    statuses_seen: Fingerprint | None = None
    doubts: Doubts = field(init=False)
    backlog: Backlog = field(default_factory=Backlog)
    reading: Reading | None = None
    reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    cache: RowCache = field(default_factory=RowCache)
    due: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare to claim the site."""
        self.lease, self.doubts = Lease(self.site_id), Doubts(self.site_id, is_patient=self.is_patient)

    def look(self) -> list[Experiment]:
        """Make one pass if no other process mirrors the site; return the experiments whose run was seen to end.

        A broken store or program makes the site unhealthy with the reason. A broken experiment never stops the others.
        """
        self.is_behind = False
        try:
            return self._make_pass() if self._may_go_on() else []
        except LostLease:
            self._stand_by()
            return []

    def _may_go_on(self) -> bool:
        """Answer whether the lease is ours. Who gets it begins anew, because others have written meanwhile."""
        is_ours = self.lease.take()
        if is_ours and self.is_standing_by:
            self.is_standing_by, self.database_seen, self.seen = False, None, {}
            self.statuses_seen = None
            self.backlog, self.reading, self.cache, self.due = Backlog(), None, RowCache(), {}
            self.looks, self.glances = RoundRobin(), RoundRobin()
            logger.info("%s mirrors site %s", get_holder(), self.site_id)
        elif not is_ours and not self.is_standing_by:
            self._stand_by()
        return is_ours

    def _stand_by(self) -> None:
        self.is_standing_by = True
        logger.warning("Another process mirrors site %s now; standing by", self.site_id)

    def _make_pass(self) -> list[Experiment]:
        site = Site.objects.get(pk=self.site_id)
        try:
            self._check_program(site)
            store = locate_store(site)
            self._read_experiments(site, store)
            self._read_statuses(site, store)
        except BrokenStore as problem:
            self.database_seen = None
            _say_problem(site, str(problem))
            return []
        _say_problem(site, "")
        locks = read_locks()
        ended = self._look_at_experiments(site, store, locks)
        if locks.is_known:
            self.lease.hold()
            self.doubts.judge(StopLogs(store.command_logs))
        self._beat(site)
        return ended

    def _check_program(self, site: Site) -> None:
        """Ask the program for its version when it is new, has changed, or was broken a while ago."""
        try:
            state = (site.autosubmit, os.stat(site.autosubmit).st_mtime)
        except OSError as error:
            self.program_seen = None
            raise BrokenStore(f"The Autosubmit program {site.autosubmit} is missing: {error.strerror}.") from error
        if self.program_seen == state:
            return
        if site.problem and time.monotonic() - self.program_checked < PROGRAM_CHECK_SECONDS and self.program_checked:
            raise BrokenStore(site.problem)
        self.program_checked = time.monotonic()
        version = read_program_version(Path(site.autosubmit), site.home_folder, settings.CACHES_DIRECTORY)
        Site.objects.filter(pk=site.pk).update(autosubmit_version=version)
        self.program_seen = state

    def _read_experiments(self, site: Site, store: Store) -> None:
        now = take_database_fingerprint(store)
        if now == self.database_seen:
            return
        records = read_experiments(store, read_numbers(site))
        with transaction.atomic():
            self.lease.guard()
            synced = sync_experiments(site, records)
            gone = mark_all_gone_but(site, {record.expid for record in records})
            if site.swept_at:  # what is mirrored for the first time has not changed
                external_changes.record_deleted(site, [*gone, *synced.replaced])
                external_changes.record_created(site, synced.new)
                external_changes.record_descriptions(site, synced.described)
        self._recall(site)
        self.database_seen = now

    def _read_statuses(self, site: Site, store: Store) -> None:
        """Read the status table if it has changed; it decides nothing, so that it may be unreadable for a while."""
        now = take_status_fingerprint(store)
        if now == self.statuses_seen:
            return
        try:
            statuses = read_statuses(store)
        except (UnreadableDatabase, OSError) as error:
            logger.warning("The status table of site %s cannot be read: %s", site, error)
        else:
            self.doubts.touch(sync_statuses(site, statuses))
        self.statuses_seen = now

    def _recall(self, site: Site) -> None:
        """Remember what is mirrored already, so that a new mirror process starts where the last one ended."""
        if self.reading:  # perhaps as another experiment of the same name than there is now
            self.backlog.add(self.reading.expid, self.reading.size)
            self.reading = None
        rows = Experiment.objects.filter(site=site, gone_at=None)
        known = dict(rows.values_list("expid", "pk"))
        kept = {expid for expid, pk in known.items() if expid in self.seen and self.rows.get(expid) == pk}
        new = rows if not self.seen else rows.filter(expid__in=known.keys() - kept)
        self.foreign &= kept
        if not self.seen:
            running = rows.filter(is_running=True)
            self.foreign = {
                experiment.expid for experiment in running if not external_changes.is_run_of_ours(experiment)
            }
        self.rows = known
        self.seen = {expid: seen for expid, seen in self.seen.items() if expid in kept}
        self.locked = {expid: holder for expid, holder in self.locked.items() if expid in kept}
        columns = ("expid", "fingerprint", "is_running", "locked_by", "owner_uid", "owner")
        for expid, files, is_running, locked_by, *owner in new.values_list(*columns).iterator():
            self.seen[expid] = (restore_fingerprint(files), is_running)
            self.owners[expid] = (owner[0], owner[1])
            self.locked |= {expid: locked_by} if locked_by else {}
            self.doubts.touch([expid])

    def _look_at_experiments(self, site: Site, store: Store, locks: Locks) -> list[Experiment]:
        """Look at all files of those that need attention and of some others, and at the job lists of the rest.

        Then read what has changed: in a whole round all of it, else for a while, so that the next look is not late.
        """
        began, looked_since = timezone.now(), time.monotonic()
        is_whole = not self.is_patient or self.looks.complete_since is None
        chosen = set(self.seen) if is_whole else self._choose_attended(site, locks)
        quiet = iter(()) if is_whole else self._iterate_in_turn(site, store, chosen)
        for expid in chain(chosen, quiet):
            self._look_at(expid, site, store, locks)
        took = time.monotonic() - looked_since
        ended = self._catch_up(site, store, locks, inf if is_whole else max(took, site.refresh_seconds))
        self.is_behind = self.reading is not None
        if is_whole:
            self.looks.complete(began)
        return ended

    def _choose_attended(self, site: Site, locks: Locks) -> set[str]:
        """Return those that run, that something is done to, that have changed lately, or that are new."""
        now = time.monotonic()
        self.recent = {expid: until for expid, until in self.recent.items() if until > now}
        acted_on = Action.objects.active().filter(site=site).exclude(expid="").values_list("expid", flat=True)
        fresh = {expid for expid, (files, is_running) in self.seen.items() if is_running or not files}
        return fresh | ({*self.recent, *self.locked, *acted_on, *locks.words} & self.seen.keys())

    def _iterate_in_turn(self, site: Site, store: Store, chosen: set[str]) -> Iterator[str]:
        """Yield those whose job list has changed, then those whose turn it is, without the ones chosen already."""
        pause = site.refresh_seconds
        glances = self.glances.take_turns(
            self.seen.keys(), seconds=pause * GLANCE_SHARE, share=pause / GLANCE_TURN_SECONDS, least=LEAST_LOOKS
        )
        for expid in glances:
            seen = self.seen.get(expid)
            if not seen or expid in chosen:
                continue
            if is_job_list_touched(store, expid, seen[0]) or self._has_folder_moved(expid, store, seen[0]):
                chosen.add(expid)
                yield expid
        looks = self.looks.take_turns(
            self.seen.keys(), seconds=pause * LOOK_SHARE, share=pause / LOOK_TURN_SECONDS, least=LEAST_LOOKS
        )
        yield from (expid for expid in looks if expid not in chosen)

    def _look_at(self, expid: str, site: Site, store: Store, locks: Locks) -> None:
        """Look at one experiment, and let it wait to be read if it has changed."""
        if expid not in self.seen or (self.reading and self.reading.expid == expid):
            return  # it left the store since its turn was planned, or is looked at when that is written
        self._look_at_owner(expid, site, store)
        found = self._find_change(expid, store, locks)
        if found:
            files, alive = found
            is_same_run = alive.is_running == self._get_seen(expid)[1]
            # The end or the beginning of a run is what people wait for.
            self.backlog.add(expid, sum(size for _, size, _ in files) if is_same_run else 0)

    def _get_seen(self, expid: str) -> Seen:
        return self.seen.get(expid, ((), False))

    def _find_change(self, expid: str, store: Store, locks: Locks) -> tuple[Fingerprint, Liveness] | None:
        """Return files and run of an experiment that must be read; None if it need not be."""
        files, was_running = self._get_seen(expid)
        now = take_fingerprint(store, expid)
        is_due = self.due.get(expid, inf) <= time.monotonic()
        is_free = expid not in self.locked and not locks.may_hold(store.lock_name(expid))
        if now == files and not (was_running or is_due) and is_free:
            return None
        alive = check_liveness(store.lock_file(expid), locks)
        self._look_who_locks(expid, alive)
        is_same_run = alive.is_running == was_running
        if is_same_run and ((now == files and not is_due) or self._is_too_soon(expid, now)):
            return None
        return now, alive

    def _catch_up(self, site: Site, store: Store, locks: Locks, seconds: float) -> list[Experiment]:
        """Read what has changed for so many seconds, small ones for longer; return those whose run was seen to end.

        While one is written the next is read. One that is not read when the time is over is written in the next pass.
        """
        ended: list[Experiment] = []
        until = time.monotonic() + seconds
        while self._read_next(store, locks) and self._await_reading(until):
            done, self.reading = self.reading, None
            self._read_next(store, locks)
            if done and (experiment := self._write_reading(done, site, store)):
                ended.append(experiment)
        return ended

    def _read_next(self, store: Store, locks: Locks) -> bool:
        """Begin to read the next that has changed, unless one is being read; answer whether any is."""
        while self.reading is None and (expid := self.backlog.take()) is not None:
            found = self._find_change(expid, store, locks) if expid in self.seen else None
            if found:
                experiment = Experiment.objects.select_related("site").get(pk=self.rows[expid])
                self.reading = self._begin_reading(experiment, store, *found)
        return self.reading is not None

    def _begin_reading(self, experiment: Experiment, store: Store, files: Fingerprint, alive: Liveness) -> Reading:
        """Begin to read an experiment, with what is cached of it unless all of it is to be read."""
        expid, now = experiment.expid, time.monotonic()
        keeps = alive.is_running or self.recent.get(expid, 0) > now
        if self.seen[expid][0]:
            self.recent[expid] = now + RECENT_SECONDS
        is_whole = self.due.get(expid, inf) <= now or alive.is_running != self.seen[expid][1]
        cached = self.cache.get(experiment.pk) if keeps and not is_whole else None
        future = self.reader.submit(read, store, expid, cached, keeps=keeps)
        size = sum(size for _, size, _ in files)
        return Reading(experiment, files, alive, future, size)

    def _await_reading(self, until: float) -> bool:
        """Wait until a list is read, but for a large one not longer than that; answer whether it is."""
        if self.reading is None:
            return False
        future, latest = self.reading.future, until + self.reading.patience
        while not future.done() and (left := latest - time.monotonic()) > 0:
            wait([future], timeout=min(left, HOLD_SECONDS))
            self.lease.hold()
        return future.done()

    def _write_reading(self, reading: Reading, site: Site, store: Store) -> Experiment | None:
        """Write what was read of an experiment; return it if its run was seen to end."""
        experiment, expid, alive = reading.experiment, reading.expid, reading.alive
        if not self._is_still_its_own(expid, site, store) or self.rows[expid] != experiment.pk:
            return None
        files, was_running = self.seen[expid]
        try:
            is_read = self._refresh(reading, store)
        except Overtaken:
            self.backlog.add(expid, reading.size)
            return None
        self.seen[expid] = (reading.files if is_read else files, alive.is_running)
        if is_read or self.unreadable[expid].is_told:
            self.doubts.touch([expid])
        else:
            self.doubts.withhold(expid)
        if alive.is_running != was_running:
            self._notice_run(experiment, alive)
        return experiment if was_running and not alive.is_running else None

    def _look_at_owner(self, expid: str, site: Site, store: Store) -> None:
        """Write whose folder it is, if that has changed: with one `lstat`, because rights follow from it.

        A folder that has gone or come back is read: where it has no job list, no other file shows it.
        """
        owner, known = read_owner(store, expid), self.owners.get(expid)
        if owner == known or not self._is_still_its_own(expid, site, store):
            return
        if owner is None or known is None:
            self.due[expid] = 0.0
        if owner is None:
            del self.owners[expid]
            return
        experiment = Experiment.objects.select_related("site").get(pk=self.rows[expid])
        with transaction.atomic():
            self.lease.guard()
            sync_owner(experiment, owner)
        self.owners[expid] = owner

    def _has_folder_moved(self, expid: str, store: Store, files: Fingerprint) -> bool:
        """Tell whether the folder of an experiment has gone or come back which has none of the files that are read."""
        return not any(map(any, files)) and (read_owner(store, expid) is None) != (expid not in self.owners)

    def _look_who_locks(self, expid: str, alive: Liveness) -> None:
        """Write who holds the lock without being a run, if that has changed."""
        if alive.locked_by == self.locked.get(expid, ""):
            return
        with transaction.atomic():
            self.lease.guard()
            say_locked(Experiment(pk=self.rows[expid]), alive)
        self.locked.pop(expid, None)
        self.locked |= {expid: alive.locked_by} if alive.locked_by else {}
        self.doubts.touch([expid])

    def _is_still_its_own(self, expid: str, site: Site, store: Store) -> bool:
        """Answer whether what lies under an expid is of the row that is remembered for it, and not of a later one.

        The list of experiments is read again if it has changed since the pass began, which may be seconds ago.
        """
        row = self.rows.get(expid)
        try:
            self._read_experiments(site, store)
        except BrokenStore:  # the next pass says so
            return False
        return expid in self.seen and self.rows.get(expid) == row

    def _notice_run(self, experiment: Experiment, alive: Liveness) -> None:
        """Record a run that somebody started outside of the portal, and its end; our own runs have their actions."""
        is_known = experiment.expid in self.foreign
        if alive.is_running and not is_known and not external_changes.is_run_of_ours(experiment):
            self.foreign.add(experiment.expid)
            external_changes.record_run_start(experiment, alive)
        elif not alive.is_running and is_known:
            self.foreign.remove(experiment.expid)
            external_changes.record_run_end(experiment, alive)

    def _is_too_soon(self, expid: str, now: Fingerprint) -> bool:
        known = self.unreadable.get(expid)
        return known is not None and known.files == now and time.monotonic() < known.again_at

    def _refresh(self, reading: Reading, store: Store) -> bool:
        """Refresh; on failure keep the last good mirror and tell the problem, so that nothing stops the others.

        Raises Overtaken when another process has written meanwhile.
        """
        experiment, now, alive = reading.experiment, reading.files, reading.alive
        self.lease.hold()
        try:
            content = reading.future.result()
            cached = write(experiment, store, now, alive, content, guard=self.lease.guard)
        except (DataError, IntegrityError) as error:  # a value that no column takes
            self._tell(experiment, now, alive, f"The store holds a value that cannot be kept: {error}.")
            return False
        except (DatabaseError, LostLease, Overtaken):
            raise
        except (UnreadableJobList, UnreadableHistory) as problem:
            self._tell(experiment, now, alive, str(problem))
            return False
        except Exception as error:  # whatever else a hostile file provokes
            logger.exception("%s could not be mirrored", experiment)
            self._tell(experiment, now, alive, f"The store could not be read: {error!r}.")
            return False
        self._remember(experiment, content, cached)
        return True

    def _remember(self, experiment: Experiment, content: Content, cached: Cached | None) -> None:
        """Cache what was read, and note when all of its history is to be read again."""
        self.unreadable.pop(experiment.expid, None)
        self.cache.put(experiment.pk, cached)
        if cached and content.cached:
            self.due[experiment.expid] = cached.checked_at + CHECK_SECONDS
        else:
            self.due.pop(experiment.expid, None)

    def _tell(self, experiment: Experiment, now: Fingerprint, alive: Liveness, problem: str) -> None:
        """Tell a problem the second time that it is seen: a file that is just being written reads well soon."""
        known = self.unreadable.get(experiment.expid)
        if known is None or known.files != now:
            known = Unreadable(now)
            if self.is_patient:
                self.unreadable[experiment.expid] = known
                return
        self.unreadable[experiment.expid] = known.postpone()
        self.lease.guard()
        say_unreadable(experiment, alive, problem)

    def _beat(self, site: Site) -> None:
        if time.monotonic() - self.beaten > HEARTBEAT_SECONDS or not self.beaten:
            swept_at = self.looks.complete_since or site.swept_at
            Site.objects.filter(pk=site.pk).update(mirrored_at=timezone.now(), swept_at=swept_at)
            self.beaten = time.monotonic()


def _say_problem(site: Site, problem: str) -> None:
    if site.problem != problem:
        Site.objects.filter(pk=site.pk).update(problem=problem)
        logger.warning("Site %s: %s", site, problem or "healthy again")
