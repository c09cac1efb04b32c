"""The passes of the mirror process over a site: the agent looks and reads, and what has changed is written here."""

import logging
import time
from collections.abc import Mapping, Set
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from operator import attrgetter

from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.utils import timezone

from autosubmit_portal.sentences import say
from experiments import hosts, reads
from experiments.autosubmit.forms import ExperimentReading, Owner, RunState
from experiments.autosubmit.store import BrokenStore, Fingerprint
from experiments.autosubmit.watched import Entry, Watched
from experiments.backlog import Backlog
from experiments.hosts import Absence
from experiments.mirror import external_changes, observe
from experiments.mirror.consistency import Doubts, FindLastStop, find_ending
from experiments.mirror.lease import Lease, LostLease, get_holder
from experiments.mirror.sightings import Sightings
from experiments.mirror.standing import Standing, read_standings
from experiments.mirror.sync import (
    Overtaken,
    restore_fingerprint,
    say_locked,
    say_unreadable,
    sync_owner,
    sync_statuses,
    write,
)
from experiments.mirror.vigil import Vigil
from experiments.models import Experiment, Host, Site
from experiments.registry import choose_record, is_among, mark_all_gone_but, mark_gone, read_numbers, sync_experiments
from experiments.row_cache import Cached, RowCache

logger = logging.getLogger(__name__)

Seen = tuple[Fingerprint, bool]
"""The files of an experiment as they were when it was read (none: never), and whether it ran."""

Told = tuple[Fingerprint, RunState]
"""The same as the agent told it last."""

# A file that could not be read is tried again even if it does not change, since it may have been locked: after so many
# seconds at first, then after twice as many each time.
RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 3600.0
HEARTBEAT_SECONDS = 5.0
# A gateway that has just been started reaches its hosts soon.
AWAY_AFTER = timedelta(seconds=10)
# Of an experiment that has changed, what was read is kept for so long, so that only what is new is read next.
RECENT_SECONDS = 60.0
# A list that is read in a moment is waited for; a larger one is written in the pass in which it is read, and lets small
# ones pass for so long.
SMALL_BYTES, PATIENCE_SECONDS, LARGE_PATIENCE_SECONDS = 1_000_000, 0.25, 2.0
# A pass in which a large one was written ends that soon: nothing new is heard meanwhile.
LARGE_SECONDS = 0.1
HOLD_SECONDS = 1.0
# Where nothing has gone on for so long, the next pass comes after the longer pause at least.
QUIET_AFTER_SECONDS, QUIET_PAUSE_SECONDS = 60.0, 0.5
# While one is written others are read. Those that take longer than that do not count, so that they hold nobody up.
READINGS, SLOW_SECONDS = 2, 0.5
MOST_READINGS = 8


class NotItself(Exception):
    """What was read is of another experiment, which has the same expid now."""


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


@dataclass(eq=False, frozen=True, slots=True)
class Reading:
    """An experiment that is being read beside what the mirror does else, as it was when that began."""

    experiment: Experiment
    host: Host
    told: Told
    cached: Cached | None
    future: Future[ExperimentReading]
    begun_at: float = field(default_factory=time.monotonic)

    @property
    def is_slow(self) -> bool:
        """Whether it is still being read, and for long."""
        return not self.future.done() and time.monotonic() - self.begun_at > SLOW_SECONDS

    @property
    def size(self) -> int:
        """How many bytes its files have."""
        return sum(size for _, size, _ in self.told[0])

    @property
    def is_small(self) -> bool:
        """Whether it is read in a moment."""
        return self.size <= SMALL_BYTES

    @property
    def turn(self) -> float:
        """When it may be its turn to be written: what comes later is passed by what is due before."""
        return self.begun_at + (0.0 if self.is_small else LARGE_PATIENCE_SECONDS)

    @property
    def patience(self) -> float:
        """For how many seconds more it is waited for when the time of a pass is over."""
        return PATIENCE_SECONDS if self.is_small and not self.is_slow else 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A run of somebody outside of the portal that has ended, and when it is clear how (monotonic clock)."""

    experiment: Experiment
    evidence: str
    owner: str
    due: float


@dataclass(slots=True)
class Lookout:
    """How far another host has told what it sees of runs, and since when it is silent."""

    epoch: str = ""
    counter: int = 0
    silent_since: datetime | None = None


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
    doubts: Doubts = field(init=False)
    vigil: Vigil = field(init=False)
    epoch: str = ""
    counter: int = 0
    is_caught_up: bool = False
    completed_at: datetime | None = None
    registered: dict[str, int] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    recent: dict[str, float] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    beaten: float = 0.0
    stirred_at: float = field(default_factory=time.monotonic)
    backlog: Backlog = field(default_factory=Backlog)
    readings: list[Reading] = field(default_factory=list)
    reader: Executor = field(init=False)
    cache: RowCache = field(default_factory=RowCache)
    away_since: datetime | None = None
    sightings: Sightings = field(default_factory=Sightings)
    lookouts: dict[int, Lookout] = field(default_factory=dict)
    host: Host = field(init=False)
    others: list[Host] = field(default_factory=list)
    acted_on: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare to claim the site."""
        self.lease, self.doubts = Lease(self.site_id), Doubts(self.site_id, is_patient=self.is_patient)
        self.vigil = Vigil(self.site_id, is_patient=self.is_patient)
        self.reader = make_reader()

    @property
    def silence(self) -> tuple[bool, frozenset[int]]:
        """Whether the host that reads did not answer when it was asked last, and the keys of others that did not."""
        silent = (key for key, lookout in self.lookouts.items() if lookout.silent_since)
        return self.away_since is not None, frozenset(silent) & {host.pk for host in self.others}

    def get_pause(self, site: Site) -> float:
        """Return the seconds between the beginnings of two passes: more of them where nothing goes on."""
        is_quiet = time.monotonic() - self.stirred_at > QUIET_AFTER_SECONDS
        return max(site.refresh_seconds, QUIET_PAUSE_SECONDS) if is_quiet else site.refresh_seconds

    def look(self, standing: Standing | None = None) -> list[Experiment]:
        """Make one pass if no other process mirrors the site; return the experiments whose run was seen to end.

        A broken store or program makes the site unhealthy with the reason. A broken experiment never stops the others.
        `standing` is what the database has said of the site a moment ago; without it, it is asked.
        """
        self.is_behind = False
        try:
            if not self._may_go_on():
                return []
            return self._make_pass(standing or read_standings(pk=self.site_id)[0])
        except LostLease:
            self._stand_by()
            return []

    def _may_go_on(self) -> bool:
        """Answer whether the lease is ours. Who gets it begins anew, because others have written meanwhile."""
        is_ours = self.lease.take()
        if is_ours and self.is_standing_by:
            self.is_standing_by, self.seen = False, {}
            self._begin_epoch("")
            self.backlog, self.readings, self.cache = Backlog(), [], RowCache()
            self.sightings, self.lookouts = Sightings(), {}
            logger.info("%s mirrors site %s", get_holder(), self.site_id)
        elif not is_ours and not self.is_standing_by:
            self._stand_by()
        return is_ours

    def _stand_by(self) -> None:
        self.is_standing_by = True
        logger.warning("Another process mirrors site %s now; standing by", self.site_id)

    def _begin_epoch(self, epoch: str) -> None:
        """Forget what an agent has told: this one begins anew."""
        self.epoch, self.counter, self.is_caught_up, self.completed_at = epoch, 0, False, None
        self.registered, self.told = {}, {}

    def _make_pass(self, standing: Standing) -> list[Experiment]:
        site, self.acted_on = standing.site, standing.acted_on
        began = time.monotonic()
        try:
            watched = self._take_news(standing, began)
            self.away_since = None
            self._look_elsewhere(began)
            _check_program(site, watched)
        except BrokenStore as problem:
            self._say_broken(site, problem)
            return []
        _say_problem(site, "")
        ended = self._catch_up(site, max(time.monotonic() - began, site.refresh_seconds) if self.is_patient else inf)
        self.is_behind |= bool(self.readings)
        if self.acted_on or self.sightings.has_any or self.is_behind:
            self.stirred_at = time.monotonic()
        if watched.are_locks_known:
            self.lease.hold()
            find_last_stop = partial(_find_last_stop, site)
            self.doubts.judge(find_last_stop, watched.node)
            self._record_ends(find_last_stop)
            self.vigil.keep()
        self._beat(site)
        return ended

    def _say_broken(self, site: Site, problem: BrokenStore) -> None:
        """Tell why nothing is seen; the same words as long as it is so."""
        if not isinstance(problem, reads.HostAway):
            _say_problem(site, str(problem))
            return
        self.away_since = self.away_since or timezone.now()
        if self.is_patient and timezone.now() - self.away_since < AWAY_AFTER:
            return
        since = f"{self.away_since:%Y-%m-%d %H:%M} UTC"
        _say_problem(
            site, say("Nothing is seen of the site since {since}, because its host does not answer.", since=since)
        )
        logger.warning("Site %s: %s", site, problem)

    # --- What the agent tells

    def _take_news(self, standing: Standing, began: float) -> Watched:
        """Have the agent look once, and write what it tells of experiments; the rest waits to be read."""
        site = standing.site
        host = self.host = reads.find_host(site, standing.hosts)
        self.others = [other for other in standing.hosts if other.pk != host.pk]
        while True:
            watched = self._ask(host, self.epoch, self.counter)
            if watched.epoch != self.epoch:
                self._begin_epoch(watched.epoch)
            if watched.entries:
                self.stirred_at = time.monotonic()
            self._register(site, watched.entries)
            self.sightings.note(host, {expid: entry.alive for expid, entry in watched.entries.items()})
            for expid, entry in watched.entries.items():
                self._take_entry(expid, entry)
                self.vigil.note(host.pk, expid, entry.life)
            self.counter = watched.counter
            self._note_round(site, watched)
            if not watched.more or (self.is_patient and time.monotonic() - began > site.refresh_seconds):
                self.is_behind = watched.more
                return watched
            self.lease.hold()

    def _ask(self, host: Host, epoch: str, counter: int) -> Watched:
        """Have a host look once."""
        return observe.watch(
            host,
            epoch,
            counter,
            attended=self.acted_on,
            pause_seconds=self.get_pause(host.site),
            is_whole=not self.is_patient,
        )

    def _look_elsewhere(self, began: float) -> None:
        """Have the other hosts tell what they see of runs, and keep those of silent ones as not seen."""
        for gone in self.sightings.hosts - {host.pk for host in (self.host, *self.others)}:
            self._take_sightings(self.sightings.forget(gone))
        away = reads.find_away(self.others) if self.others else {}
        for host in self.others:
            lookout = self.lookouts.setdefault(host.pk, Lookout())
            try:
                if host.pk in away:
                    raise reads.HostAway(away[host.pk].reason)
                self._hear(host, lookout, began)
            except BrokenStore as silence:
                self._note_silence(host, lookout, away.get(host.pk, Absence(str(silence))))

    def _hear(self, host: Host, lookout: Lookout, began: float) -> None:
        """Take what another host has seen since it told last."""
        while True:
            watched = self._ask(host, lookout.epoch, lookout.counter)
            lookout.epoch, lookout.counter, lookout.silent_since = watched.epoch, watched.counter, None
            told = {expid: entry.alive for expid, entry in watched.entries.items()}
            for expid, entry in watched.entries.items():
                self.vigil.note(host.pk, expid, entry.life)
            self._take_sightings(self.sightings.note(host, told))
            if not watched.more or (self.is_patient and time.monotonic() - began > host.site.refresh_seconds):
                self.is_behind |= watched.more
                return
            self.lease.hold()

    def _note_silence(self, host: Host, lookout: Lookout, absence: Absence) -> None:
        """Keep the runs of a host as not seen, when it is silent for longer than a gateway takes to reach it."""
        now = timezone.now()
        lookout.epoch, lookout.silent_since = "", lookout.silent_since or now  # when it is back it tells all again
        if not hosts.may_hide_run(host, absence):
            self._take_sightings(self.sightings.forget(host.pk))
        elif not self.is_patient or now - lookout.silent_since >= AWAY_AFTER:
            self._take_sightings(self.sightings.lose(host))

    def _take_sightings(self, changed: Set[str]) -> None:
        """Write what is seen of runs at other hosts than the one that reads; begun and ended ones wait to be read."""
        for expid in changed & self.seen.keys():
            known, was_running = self.seen[expid]
            alive = self.sightings.judge(expid)
            self.told[expid] = (self.told[expid][0] if expid in self.told else known), alive
            if alive.is_running == was_running:
                self._write_lock(expid, alive)

    def _note_round(self, site: Site, watched: Watched) -> None:
        """Note when all was looked at, and once all was told what is gone."""
        if watched.is_complete and not watched.more and not self.is_caught_up:
            with transaction.atomic():
                self.lease.guard()
                gone = mark_all_gone_but(site, {*self.registered})
                external_changes.record_deleted(site, gone if site.swept_at else [])
            self._recall(site)
            self.is_caught_up = True
        if watched.complete_age is not None:
            self.completed_at = timezone.now() - timedelta(seconds=watched.complete_age)

    def _register(self, site: Site, entries: Mapping[str, Entry]) -> None:
        """Write which experiments there are and what the status table says of them, where that has changed."""
        new = {expid: entry for expid, entry in entries.items() if self.registered.get(expid) != _sum_up(entry)}
        if not new:
            return
        known = read_numbers(site, new)
        records = [record for entry in new.values() if (record := choose_record(entry.records, known))]
        with transaction.atomic():
            self.lease.guard()
            synced = sync_experiments(site, records)
            gone = [expid for expid, entry in new.items() if not entry.records and mark_gone(site, expid)]
            if site.swept_at:  # what is mirrored for the first time has not changed
                external_changes.record_deleted(site, [*gone, *synced.replaced])
                external_changes.record_created(site, synced.new)
                external_changes.record_descriptions(site, synced.described)
        for expid, entry in new.items():
            self.registered.pop(expid, None)
            self.registered |= {expid: _sum_up(entry)} if entry.records else {}
        if gone or any(record.expid not in self.rows for record in records) or synced.new or synced.replaced:
            self._recall(site)
        self.doubts.touch(sync_statuses(site, {expid: entry.recorded for expid, entry in new.items() if entry.records}))

    def _recall(self, site: Site) -> None:
        """Remember what is mirrored already, so that a new mirror process starts where the last one ended."""
        rows = Experiment.objects.filter(site=site, gone_at=None)
        known = dict(rows.values_list("expid", "pk"))
        kept = {expid for expid, pk in known.items() if expid in self.seen and self.rows.get(expid) == pk}
        new = rows if not self.seen else rows.filter(expid__in=known.keys() - kept)
        self.foreign = {expid: owner for expid, owner in self.foreign.items() if expid in kept}
        if not self.seen:
            running = rows.filter(is_running=True)
            self.foreign = {
                experiment.expid: "" for experiment in running if not external_changes.is_run_of_ours(experiment)
            }
        self.rows = known
        self.seen = {expid: seen for expid, seen in self.seen.items() if expid in kept}
        self.told = {expid: told for expid, told in self.told.items() if expid in kept}
        self.locked = {expid: holder for expid, holder in self.locked.items() if expid in kept}
        columns = ("expid", "fingerprint", "is_running", "locked_by", "run_host", "evidence", "owner_uid", "owner")
        for expid, files, is_running, locked_by, run_host, evidence, *owner in new.values_list(*columns).iterator():
            self.seen[expid] = (restore_fingerprint(files), is_running)
            self.owners[expid] = (owner[0], owner[1])
            self.locked |= {expid: locked_by} if locked_by else {}
            if is_running and run_host and run_host != self.host.pk:  # the one that reads has told
                self.sightings.recall(run_host, expid, evidence)
            self.doubts.touch([expid])

    def _take_entry(self, expid: str, entry: Entry) -> None:
        """Write whose an experiment is and who holds its lock, and remember its files and its run."""
        if not entry.records or expid not in self.seen:
            return
        self._take_owner(expid, entry.owner)
        alive = self.sightings.judge(expid, entry.alive)
        self._take_lock(expid, alive)
        self.told[expid] = entry.files, alive

    def _take_owner(self, expid: str, owner: Owner | None) -> None:
        """Write whose folder it is, if that has changed: rights follow from it.

        A folder that has gone or come back is read: where it has no job list, no other file shows it.
        """
        known = self.owners.get(expid)
        if owner == known:
            return
        if owner is None or known is None:
            self.moved.add(expid)
        if owner is None:
            del self.owners[expid]
            return
        experiment = Experiment.objects.select_related("site").get(pk=self.rows[expid])
        with transaction.atomic():
            self.lease.guard()
            sync_owner(experiment, owner)
        self.owners[expid] = owner

    def _take_lock(self, expid: str, alive: RunState) -> None:
        """Write who holds the lock without being a run, if that has changed."""
        if alive.locked_by != self.locked.get(expid, ""):
            self._write_lock(expid, alive)

    def _write_lock(self, expid: str, alive: RunState) -> None:
        with transaction.atomic():
            self.lease.guard()
            say_locked(Experiment(pk=self.rows[expid]), alive)
        self.locked.pop(expid, None)
        self.locked |= {expid: alive.locked_by} if alive.locked_by else {}
        self.doubts.touch([expid])

    def _must_be_read(self, expid: str) -> bool:
        """Answer whether an experiment is other than what is mirrored of it; what is not need not be remembered."""
        if expid not in self.told or expid not in self.seen:
            return False
        (files, alive), (known, was_running) = self.told[expid], self.seen[expid]
        if alive.is_running != was_running:
            return True
        if files == known and expid not in self.moved:
            del self.told[expid]
            return False
        return not self._is_too_soon(expid, files)

    def _let_wait(self, expid: str) -> None:
        files, alive = self.told[expid]
        is_same_run = alive.is_running == self.seen[expid][1]
        # The end or the beginning of a run is what people wait for.
        self.backlog.add(expid, sum(size for _, size, _ in files) if is_same_run else 0)

    def _is_too_soon(self, expid: str, now: Fingerprint) -> bool:
        known = self.unreadable.get(expid)
        return known is not None and known.files == now and time.monotonic() < known.again_at

    # --- What is read

    def _catch_up(self, site: Site, seconds: float) -> list[Experiment]:
        """Read what has changed for so many seconds, small ones for longer; return those whose run was seen to end.

        While one is written others are read. What is not read when the time is over is written in the next pass.
        """
        for expid in [expid for expid in (*self.told,) if self._must_be_read(expid)]:  # also what failed before
            self._let_wait(expid)
        self.recent = {expid: until for expid, until in self.recent.items() if until > time.monotonic()}
        ended: list[Experiment] = []
        began = time.monotonic()
        until = began + seconds
        while self._read_next(site) and (done := self._await_reading(until)):
            self.readings.remove(done)
            self._read_next(site)
            if experiment := self._write_reading(done):
                ended.append(experiment)
            if self.is_patient and not done.is_small:
                until = min(until, began + LARGE_SECONDS)
        return ended

    def _read_next(self, site: Site) -> bool:
        """Begin to read the next ones that have changed; answer whether any is being read."""
        for most_bytes in (SMALL_BYTES, inf):
            while self._may_read(most_bytes) and (expid := self.backlog.take(most_bytes)) is not None:
                is_read = any(reading.experiment.expid == expid for reading in self.readings)
                if not is_read and self._must_be_read(expid):  # what is being read is told again if it changes
                    self.readings.append(self._begin_reading(Experiment.objects.get(pk=self.rows[expid]), site))
        return bool(self.readings)

    def _may_read(self, most_bytes: float) -> bool:
        """Answer whether another one may be read: a small one beside large ones, and any beside those that take long.

        So they hold nobody up, while they are few.
        """
        beside = [reading for reading in self.readings if not reading.is_slow]
        if most_bytes < inf:
            beside = [reading for reading in beside if reading.is_small]
        return len(beside) < READINGS and len(self.readings) < MOST_READINGS

    def _begin_reading(self, experiment: Experiment, site: Site) -> Reading:
        """Begin to read an experiment, with what is cached of it."""
        expid, now, told = experiment.expid, time.monotonic(), self.told[experiment.expid]
        experiment.site = site
        if self.seen[expid][0]:
            self.recent[expid] = now + RECENT_SECONDS
        cached = self.cache.get(experiment.pk)
        future = self.reader.submit(partial(observe.read, self.host, observe.make_request(experiment, cached)))
        return Reading(experiment, self.host, told, cached, future)

    def _await_reading(self, until: float) -> Reading | None:
        """Wait until a list is read, for small ones a little longer than that; return one that is.

        A large one that is read later is written in the next pass, which hears first what has changed meanwhile.
        """
        while waited := [reading for reading in self.readings if reading.is_small or time.monotonic() < until]:
            if done := [reading for reading in waited if reading.future.done()]:
                return min(done, key=attrgetter("turn"))
            left = until + max(reading.patience for reading in waited) - time.monotonic()
            if left <= 0:
                break
            wait([reading.future for reading in waited], min(left, HOLD_SECONDS), "FIRST_COMPLETED")
            self.lease.hold()
        return None

    def _write_reading(self, reading: Reading) -> Experiment | None:
        """Write what was read of an experiment; return it if its run was seen to end."""
        experiment, expid = reading.experiment, reading.experiment.expid
        if expid not in self.seen or self.rows.get(expid) != experiment.pk:
            return None  # it left the store meanwhile
        self.lease.hold()
        try:
            files, alive = self._refresh(reading)
        except Overtaken:
            self.cache.put(experiment.pk, None)
            self.backlog.add(expid, reading.size)
            return None
        except (NotItself, reads.HostAway, reads.HostBusy):  # the next pass reads it, or knows better
            return None
        was_running = self.seen[expid][1]
        self.seen[expid] = (files, alive.is_running)
        if alive.is_running != was_running:
            self._notice_run(experiment, alive)
        return experiment if was_running and not alive.is_running else None

    def _refresh(self, reading: Reading) -> Told:
        """Write what was read; return the files and the run that are mirrored now.

        On failure the last good mirror is kept and the problem is told, so that nothing stops the others. Raises
        Overtaken when another process has written meanwhile.
        """
        experiment, expid = reading.experiment, reading.experiment.expid
        try:
            content = reading.future.result()
            if not is_among(content.records, experiment):
                raise NotItself
            self.sightings.note(reading.host, {expid: content.alive})
            content = replace(content, alive=self.sightings.judge(expid, content.alive))
            cached = write(experiment, content, cached=reading.cached, guard=self.lease.guard)
        except (DataError, IntegrityError) as error:  # a value that no column takes
            return self._tell(reading, say("The store holds a value that cannot be kept: {why}.", why=str(error)))
        except (DatabaseError, LostLease, Overtaken, NotItself, reads.HostAway, reads.HostBusy):
            raise
        except (reads.Unreadable, BrokenStore) as problem:
            return self._tell(reading, str(problem))
        except Exception as error:  # whatever else a hostile file provokes
            logger.exception("%s could not be mirrored", experiment)
            return self._tell(reading, say("The store could not be read: {why}.", why=repr(error)))
        self.unreadable.pop(expid, None)
        self.moved.discard(expid)
        keeps = content.alive.is_running or self.recent.get(expid, 0) > time.monotonic()
        self.cache.put(experiment.pk, cached if keeps else None)
        self.doubts.touch([expid])
        return content.files, content.alive

    def _tell(self, reading: Reading, problem: str) -> Told:
        """Tell a problem the second time that it is seen: a file that is just being written reads well soon."""
        experiment, (files, alive) = reading.experiment, reading.told
        expid = experiment.expid
        known = self.unreadable.get(expid)
        if known is None or known.files != files:
            known = Unreadable(files)
        if self.is_patient and known is not self.unreadable.get(expid):
            self.unreadable[expid] = known
            self.doubts.withhold(expid)
        else:
            self.unreadable[expid] = known.postpone()
            self.lease.guard()
            say_unreadable(experiment, alive, problem)
            self.doubts.touch([expid])
        return self.seen[expid][0], alive

    def _notice_run(self, experiment: Experiment, alive: RunState) -> None:
        """Record a run that somebody started outside of the portal, and its end; our own runs have their actions."""
        is_known = experiment.expid in self.foreign
        if alive.is_running and not is_known and not external_changes.is_run_of_ours(experiment):
            self.foreign[experiment.expid] = alive.owner
            external_changes.record_run_start(experiment, alive)
        elif not alive.is_running and is_known:
            due = time.monotonic() + (2 * self.doubts.settle_seconds)
            self.ended.append(Ended(experiment, alive.evidence, self.foreign.pop(experiment.expid), due))

    def _record_ends(self, find_last_stop: FindLastStop) -> None:
        """Record the ends of such runs when it is clear how each ended: the files and the logs tell a little later."""
        now = time.monotonic()
        due = [one for one in self.ended if one.due <= now]
        self.ended = [one for one in self.ended if one.due > now]
        for one in due:
            ending = find_ending(one.experiment.pk, find_last_stop)
            external_changes.record_run_end(one.experiment, one.evidence, one.owner, ending)

    def _beat(self, site: Site) -> None:
        if time.monotonic() - self.beaten > HEARTBEAT_SECONDS or not self.beaten:
            swept_at = self.completed_at or site.swept_at
            Site.objects.filter(pk=site.pk).update(mirrored_at=timezone.now(), swept_at=swept_at)
            site.swept_at = swept_at
            self.beaten = time.monotonic()


def make_reader() -> Executor:
    """Return who waits for the agent meanwhile."""
    return ThreadPoolExecutor(MOST_READINGS)


def _sum_up(entry: Entry) -> int:
    """Return what differs when the records of an experiment or its status do."""
    return hash((*entry.records, entry.recorded))


def _check_program(site: Site, watched: Watched) -> None:
    """Keep the version of the program; raise BrokenStore when it is missing or broken."""
    if watched.problem:
        raise BrokenStore(watched.problem)
    if watched.version and watched.version != site.autosubmit_version:
        Site.objects.filter(pk=site.pk).update(autosubmit_version=watched.version)
        site.autosubmit_version = watched.version


def _find_last_stop(site: Site, expid: str) -> datetime | None:
    try:
        return observe.find_last_stop(site, expid)
    except BrokenStore as problem:
        logger.warning("What stopped %s of site %s is not known: %s", expid, site, problem)
        return None


def _say_problem(site: Site, problem: str) -> None:
    if site.problem != problem:
        Site.objects.filter(pk=site.pk).update(problem=problem)
        site.problem = problem
        logger.warning("Site %s: %s", site, problem or "healthy again")
