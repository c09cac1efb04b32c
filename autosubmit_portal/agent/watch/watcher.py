"""The passes over a store: what needs attention is looked at each time, the rest in turns, with a few `stat` calls.

Nothing that belongs to an experiment is opened here. What has changed stands in the journal, and the portal asks a
reader for it.
"""

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from itertools import islice

from autosubmit_portal.agent.accounts import get_name
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.watch.journal import Journal
from autosubmit_portal.agent.watch.life_signs import LifeSigns
from autosubmit_portal.agent.watch.program_check import MOMENT_SECONDS, ProgramCheck
from autosubmit_portal.agent.watch.request import Asked, Place
from autosubmit_portal.agent.watch.round_robin import RoundRobin
from autosubmit_portal.sentences import say
from experiments.autosubmit.forms import MOST_RECORDS, Owner, RunState, make_run_state, read_owner
from experiments.autosubmit.liveness import Locks, check_liveness, read_locks
from experiments.autosubmit.store import (
    ExperimentRecord,
    Fingerprint,
    JobListFiles,
    Recorded,
    Store,
    is_job_list_touched,
    locate,
    pick_job_list,
    read_all_experiments,
    read_statuses,
    take_database_fingerprint,
    take_fingerprint,
    take_status_fingerprint,
)
from experiments.autosubmit.watched import (
    LONGEST_NODE,
    LONGEST_PROBLEM,
    LONGEST_VERSION,
    MOST_ENTRIES,
    Entry,
    tell_entry,
)
from jobs.autosubmit.database import UnreadableDatabase

# An experiment that has changed is looked at in every pass for so long.
RECENT_SECONDS = 60.0
# Of the pause between two passes, so much goes to the quiet ones: to see whether their job lists have changed, and to
# look at all of their files. It is little, because it is spent all the time. However slow the file system is, each
# comes up within so many seconds.
GLANCE_SHARE, GLANCE_TURN_SECONDS = 0.01, 30.0
LOOK_SHARE, LOOK_TURN_SECONDS = 0.002, 60.0
LEAST_LOOKS = 10
# No part of a pass takes longer than that, since somebody waits: then the turns do.
LONGEST_SECONDS = 1.5
# Of one answer, unless a single entry is longer.
MOST_BYTES = 4 * 1024 * 1024
_NOTHING_RECORDED = Recorded("", None)
_GONE = Entry((), _NOTHING_RECORDED, None, RunState(False, None, say("it is not in the store any more")), ())


class Watcher:
    """What is known of a store between two passes. All of it can be found again.

    `begin_to_look` is called with the name of each experiment before it is looked at, and with none afterwards: who
    hears nothing more knows which it was that hangs.
    """

    def __init__(self, place: Place, begin_to_look: Callable[[str], None] = lambda _: None) -> None:
        self._begin_to_look = begin_to_look
        self._left_out: Set[str] = frozenset()
        self.looks = RoundRobin()
        self._place = place
        self._program = ProgramCheck(place)
        self._journal = Journal()
        self._attended = RoundRobin()
        self._glances = RoundRobin()
        self._records: dict[str, tuple[ExperimentRecord, ...]] = {}
        self._statuses: dict[str, Recorded] = {}
        self._database_seen: Fingerprint | None = None
        self._statuses_seen: Fingerprint | None = None
        self._job_lists: dict[str, JobListFiles] = {}
        self._recent: dict[str, float] = {}
        self._held: set[str] = set()
        self._owners: dict[int, str] = {}
        self._life_signs = LifeSigns()
        self._due: dict[str, None] = {}
        self._whole_since: float | None = None
        self._whole_told: int | None = None
        self._are_locks_known = True

    def answer(self, asked: Asked, left_out: Set[str] = frozenset()) -> tuple[Message, bytes]:
        """Make a pass, unless much of those before is to be told yet, and tell what has changed. Raises BrokenStore.

        Those that are `left_out` are not looked at. While nothing was seen of one, the round is not complete.
        """
        self._due |= dict.fromkeys(self._left_out - left_out)
        self._left_out = left_out
        known = asked.counter if asked.epoch == self._journal.epoch else 0
        self._begin_whole(asked)
        if len(self._journal.find_since(known)) < MOST_ENTRIES:
            self._make_pass(asked, known)
        changed = self._journal.find_since(known)
        lines = [*_tell_some(changed)]
        is_all = len(lines) == len(changed)
        counter = self._journal.counter if is_all else changed[len(lines) - 1][0]
        more = not is_all or bool(self._due) or (asked.is_whole and self._program.is_asking)
        if asked.is_whole:
            self._whole_told = counter if more else None
        return {"counter": counter, "more": more, **self._describe()}, b"".join(lines)

    def close(self) -> None:
        """Leave what goes on beside the passes."""
        self._program.close()

    def _describe(self) -> Message:
        since = self.looks.complete_since
        return {
            "epoch": self._journal.epoch,
            "is_complete": since is not None,
            "complete_age": None if since is None else time.monotonic() - since,
            "are_locks_known": self._are_locks_known,
            "node": platform.node()[:LONGEST_NODE],
            "version": self._program.version[:LONGEST_VERSION],
            "problem": self._program.problem[:LONGEST_PROBLEM],
        }

    def _begin_whole(self, asked: Asked) -> None:
        """Have everything looked at in the beginning, and for who asks for it and does not go on with that."""
        goes_on = asked.epoch == self._journal.epoch and asked.counter == self._whole_told
        is_first = self.looks.complete_since is None and self._whole_since is None
        if is_first or (asked.is_whole and not goes_on):
            self._whole_since, self._due = time.monotonic(), dict.fromkeys(self._records)

    def _make_pass(self, asked: Asked, known: int) -> None:
        self._program.look()
        self._program.hear(LONGEST_SECONDS if asked.is_whole else MOMENT_SECONDS)
        store, locks = locate(self._place.home, self._place.configuration), read_locks()
        self._owners, self._are_locks_known = {}, locks.is_known
        self._read_experiments(store)
        self._read_statuses(store)
        for expid in self._choose(asked, known, store, locks):
            self._look_at(expid, store, locks)
        self._begin_to_look("")
        if self._whole_since is not None and not self._due and not self._is_one_unseen():
            self.looks.complete(self._whole_since)
            self._whole_since = None
        # What was looked at belongs to another experiment of that name, if the list has changed meanwhile.
        self._read_experiments(store)

    def _is_one_unseen(self) -> bool:
        return any(not self._journal.get(expid) for expid in self._left_out & self._records.keys())

    def _read_experiments(self, store: Store) -> None:
        """Read the list of experiments if it has changed. Raises BrokenStore."""
        now = take_database_fingerprint(store)
        if now == self._database_seen:
            return
        self._database_seen = None
        found: dict[str, tuple[ExperimentRecord, ...]] = {}
        for record in read_all_experiments(store):
            found[record.expid] = (*found.get(record.expid, ()), record)[-MOST_RECORDS:]
        for expid in self._records.keys() - found.keys():
            self._forget(expid)
        self._due |= dict.fromkeys(found.keys() - self._records.keys())
        for expid in found.keys() & self._records.keys():
            self._journal.change(expid, records=found[expid])
        self._records, self._database_seen = found, now

    def _forget(self, expid: str) -> None:
        """Note that an experiment is not in the store any more."""
        self._due.pop(expid, None)
        self._recent.pop(expid, None)
        self._job_lists.pop(expid, None)
        self._held.discard(expid)
        if self._journal.get(expid):
            self._journal.note(expid, _GONE)

    def _read_statuses(self, store: Store) -> None:
        """Read the status table if it has changed; it decides nothing, so that it may be unreadable for a while."""
        now = take_status_fingerprint(store)
        if now == self._statuses_seen:
            return
        with suppress(UnreadableDatabase, OSError):
            before, self._statuses = self._statuses, read_statuses(store)
            for expid in self._records.keys() & (before.keys() | self._statuses.keys()):
                self._journal.change(expid, recorded=self._get_recorded(expid))
        self._statuses_seen = now

    def _get_recorded(self, expid: str) -> Recorded:
        return self._statuses.get(expid, _NOTHING_RECORDED)

    def _choose(self, asked: Asked, known: int, store: Store, locks: Locks) -> Iterator[str]:
        """Yield whom to look at: those that need attention, those that must be, and of the quiet ones some in turn."""
        chosen: set[str] = set()
        for expid in self._attended.take_turns(self._find_attended(asked, locks), seconds=LONGEST_SECONDS):
            chosen.add(expid)
            yield expid
        if not self._due:
            yield from self._iterate_in_turn(asked.pause_seconds, store, chosen)
        until = time.monotonic() + LONGEST_SECONDS
        while self._due and time.monotonic() < until and self._journal.counter - known < MOST_ENTRIES:
            yield self._due.popitem()[0]

    def _find_attended(self, asked: Asked, locks: Locks) -> set[str]:
        """Return those that are held, that the portal does something to, or that have changed lately."""
        now = time.monotonic()
        self._recent = {expid: until for expid, until in self._recent.items() if until > now}
        return {*self._held, *self._recent, *asked.attend, *locks.words} & self._records.keys()

    def _iterate_in_turn(self, pause: float, store: Store, chosen: set[str]) -> Iterator[str]:
        """Yield those whose job list has changed, then those whose turn it is, without the ones chosen already."""
        glances = self._glances.take_turns(
            self._records,
            seconds=pause * GLANCE_SHARE,
            share=pause / GLANCE_TURN_SECONDS,
            least=LEAST_LOOKS,
            longest=LONGEST_SECONDS,
        )
        for expid in glances:
            if expid not in chosen and self._is_touched(expid, store):
                chosen.add(expid)
                yield expid
        looks = self.looks.take_turns(
            self._records,
            seconds=pause * LOOK_SHARE,
            share=pause / LOOK_TURN_SECONDS,
            least=LEAST_LOOKS,
            longest=LONGEST_SECONDS,
        )
        yield from (expid for expid in looks if expid not in chosen)

    def _is_touched(self, expid: str, store: Store) -> bool:
        """Answer whether the job list of an experiment has changed, or its folder has gone or come back.

        Where there is none of the files that are read, only the folder itself shows that.
        """
        entry = self._journal.get(expid)
        if not entry or expid in self._left_out:
            return False
        self._begin_to_look(expid)
        job_list = self._job_lists[expid]
        is_moved = (
            not job_list and _is_without_files(entry) and (read_owner(store, expid) is None) != (entry.owner is None)
        )
        return is_moved or is_job_list_touched(store, expid, entry.files, job_list)

    def _look_at(self, expid: str, store: Store, locks: Locks) -> None:
        """Look at one experiment, unless it is left out, or has left the store since its turn was planned."""
        self._due.pop(expid, None)
        if expid not in self._records or expid in self._left_out:
            return
        self._begin_to_look(expid)
        before, files = self._journal.get(expid), take_fingerprint(store, expid)
        is_quiet = before and before.files == files and not _is_held(before)
        if before and is_quiet and not locks.may_hold(store.lock_name(expid)):
            alive = before.alive
        else:
            alive = make_run_state(check_liveness(store.lock_file(expid), locks))
        if not before or before.files != files or expid not in self._job_lists:
            self._job_lists[expid] = pick_job_list(store, expid, files)
        owner, life = self._find_owner(expid, store), self._life_signs.look(expid, store, alive)
        entry = Entry(self._records[expid], self._get_recorded(expid), owner, alive, files, life)
        if before and (before.files, before.alive.is_running) != (files, alive.is_running):
            self._recent[expid] = time.monotonic() + RECENT_SECONDS
        (self._held.add if _is_held(entry) else self._held.discard)(expid)
        self._journal.note(expid, entry)

    def _find_owner(self, expid: str, store: Store) -> Owner | None:
        """Return whose folder it is; the directory of accounts, which may be far away, is asked once in a pass."""
        return read_owner(store, expid, self._find_name)

    def _find_name(self, uid: int) -> str:
        if uid not in self._owners:
            self._owners[uid] = get_name(uid)
        return self._owners[uid]


def _tell_some(entries: Iterable[tuple[int, str, Entry]]) -> Iterator[bytes]:
    """Yield a line of JSON for each, as many as one answer takes."""
    told = 0
    for _, expid, entry in islice(entries, MOST_ENTRIES):
        line = tell_entry(expid, entry)
        if told and told + len(line) > MOST_BYTES:
            return
        told += len(line)
        yield line


def _is_held(entry: Entry) -> bool:
    """Answer whether a process holds the lock of its runs, as a run or otherwise."""
    return entry.alive.is_running or entry.alive.pid is not None


def _is_without_files(entry: Entry) -> bool:
    """Answer whether there is none of the files that are read."""
    return not any(map(any, entry.files))
