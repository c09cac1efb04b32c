"""Mirror one experiment: from its store to rows."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from autosubmit_portal.access.unix import get_name
from experiments.autosubmit.liveness import Liveness, check_liveness, read_locks
from experiments.autosubmit.plans import read_plans
from experiments.autosubmit.store import (
    NO_OWNER,
    BrokenStore,
    Fingerprint,
    Recorded,
    Store,
    are_edges_same,
    locate,
    read_experiments,
    take_fingerprint,
)
from experiments.mirror import external_changes
from experiments.models import Experiment, Run, Site
from experiments.registry import is_in, mark_gone, read_numbers, sync_experiments
from experiments.row_cache import Cached
from jobs.autosubmit.history import Attempts, RunRecord, UnreadableHistory, read_attempts, read_runs
from jobs.autosubmit.job_list import Decoded, JobList, UnreadableJobList, read_dependencies, read_job_list
from jobs.autosubmit.values import to_moment
from jobs.autosubmit.wrappers import add_wrappers, read_wrappers
from jobs.mirror import Difference, Snapshot, sync_jobs

_TRIES = 3


class Overtaken(Exception):
    """Another process has written the experiment while its files were read: what was read may be older."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the store says of one experiment: why it has no folder, or its jobs, their attempts and its runs.

    `cached` is what it was read with.
    """

    absence: str
    job_list: JobList = field(default_factory=JobList)
    attempts: Attempts = field(default_factory=lambda: Attempts({}))
    runs: list[RunRecord] = field(default_factory=list)
    cached: Cached | None = None

    def make_cached(self, snapshot: Snapshot, written_at: datetime) -> Cached | None:
        """Return what may be cached when the rows of the snapshot are written; None if it is not to be."""
        if self.job_list.decoded is None:
            return None
        checked_at = self.cached.checked_at if self.cached else time.monotonic()
        return Cached(self.job_list.decoded, self.attempts, snapshot, written_at, checked_at)


def refresh(experiment: Experiment) -> None:
    """Read one experiment anew, whatever was seen before.

    Raises BrokenStore when the site's store cannot be found. A file that cannot be read leaves the last good mirror
    in place and is told in `problem`. What lies under the expid of an experiment that is gone is of another one, and
    is not read into it.
    """
    store = locate_store(experiment.site)
    if is_in(store, experiment):
        _refresh(experiment.pk, store)


def _refresh(experiment_id: int, store: Store) -> None:
    """Read one experiment; try again when another process has written it meanwhile, at most _TRIES times."""
    for _ in range(_TRIES):
        with suppress(Overtaken):
            _read_and_write(experiment_id, store, may_overtake=False)
            return
    _read_and_write(experiment_id, store, may_overtake=True)


def _read_and_write(experiment_id: int, store: Store, *, may_overtake: bool) -> None:
    experiment = Experiment.objects.select_related("site").get(pk=experiment_id)
    sync_owner(experiment, read_owner(store, experiment.expid))
    alive = check_liveness(store.lock_file(experiment.expid), read_locks())
    files = take_fingerprint(store, experiment.expid)
    try:
        write(experiment, store, files, alive, read(store, experiment.expid), may_overtake=may_overtake)
    except (UnreadableJobList, UnreadableHistory) as problem:
        say_unreadable(experiment, alive, str(problem))


def adopt(site: Site, expid: str) -> Experiment | None:
    """Mirror one experiment with its description and return it; None if the store does not have it (yet, or any more).

    What was mirrored of one that it does not know any more is marked as gone at once.
    """
    store = locate_store(site)
    records = read_experiments(store, read_numbers(site, expid), only=expid)
    if not records:
        if mark_gone(site, expid):
            external_changes.record_deleted(site, [expid])
        return None
    with transaction.atomic():
        replaced = sync_experiments(site, records).replaced
        external_changes.record_deleted(site, replaced)
        external_changes.record_created(site, replaced)
    experiment = Experiment.objects.select_related("site").get(site=site, expid=expid, gone_at=None)
    _refresh(experiment.pk, store)
    return experiment


def explain_absence(experiment: Experiment) -> str:
    """Return why an experiment has no folder now; blank if it has one, or if that is unknown."""
    try:
        return locate_store(experiment.site).explain_absence(experiment.expid)
    except BrokenStore:
        return ""


def look_alive(experiment: Experiment) -> Liveness | None:
    """Check only whether the run of an experiment lives; None without a change if that is unknown."""
    try:
        store = locate_store(experiment.site)
    except BrokenStore:
        return None
    alive = check_liveness(store.lock_file(experiment.expid), read_locks())
    Experiment.objects.filter(pk=experiment.pk).update(**_describe_liveness(alive))
    return alive


def locate_store(site: Site) -> Store:
    """Return where the store of a site is; raise BrokenStore with the reason when it cannot be found."""
    return locate(site.home_folder, site.configuration_file)


Owner = tuple[int | None, str]
"""The uid of the folder of an experiment, and what the host calls it; see `Experiment.owner_uid`."""


def read_owner(store: Store, expid: str) -> Owner | None:
    """Return who owns the folder of an experiment; None if it has none, as while it is archived."""
    uid = store.read_folder_owner(expid)
    if uid is None:
        return None
    return uid, "" if uid == NO_OWNER else get_name(uid)[:100]


def recognise(experiment: Experiment) -> bool:
    """Return whether the store still has this experiment, and write the present owner of its folder.

    If the store cannot be found, what was seen last stays.
    """
    try:
        store = locate_store(experiment.site)
        is_there = is_in(store, experiment)
    except BrokenStore:
        return True
    if is_there:
        sync_owner(experiment, read_owner(store, experiment.expid))
    return is_there


def sync_owner(experiment: Experiment, owner: Owner | None) -> None:
    """Write the owner of the folder, if there is one, and record a change of it in the trail."""
    if owner is None or owner == (experiment.owner_uid, experiment.owner):
        return
    with transaction.atomic():
        rows = Experiment.objects.select_for_update(no_key=True).filter(pk=experiment.pk)
        uid, name = rows.values_list("owner_uid", "owner").get()
        rows.update(owner_uid=owner[0], owner=owner[1])
        if uid not in (None, owner[0]):
            external_changes.record_owner_change(experiment, name, owner[1])
    experiment.owner_uid, experiment.owner = owner


def sync_statuses(site: Site, statuses: Mapping[str, Recorded]) -> list[str]:
    """Write changed rows of the status table, and return their expids."""
    rows = Experiment.objects.filter(site=site, gone_at=None)
    known = {expid: told for expid, *told in rows.values_list("expid", "recorded_status", "recorded_at")}
    unrecorded = Recorded("", None)
    differing = []
    for expid, told in known.items():
        recorded = statuses.get(expid, unrecorded)
        if told != [recorded.status, recorded.at]:
            rows.filter(expid=expid).update(recorded_status=recorded.status, recorded_at=recorded.at)
            differing.append(expid)
    return differing


def read(store: Store, expid: str, cached: Cached | None = None, *, keeps: bool = False) -> Content:
    """Return what the store has of one experiment; raise UnreadableJobList or UnreadableHistory.

    With `cached`, an earlier result, only changed rows are made again. With `keeps` the result can be cached.
    """
    absence = store.explain_absence(expid)
    if absence:
        return Content(absence)
    history, known = store.history_database(expid), cached.decoded if cached else {}
    with ThreadPoolExecutor(1) as beside:  # another process decodes the list meanwhile
        reading = beside.submit(_read_job_list, store, expid, known if keeps else None)
        attempts, runs = read_attempts(history, cached.attempts if cached else None), read_runs(history)
        return Content("", reading.result(), attempts, runs, cached)


def write(
    experiment: Experiment,
    store: Store,
    files: Fingerprint,
    alive: Liveness,
    content: Content,
    *,
    may_overtake: bool = False,
    guard: Callable[[], None] = lambda: None,
) -> Cached | None:
    """Write what was read of one experiment; return what may be cached of it.

    Of an experiment that has no folder, because it is archived, what was mirrored before stays. `guard` is called
    in the transaction and may raise to keep anything from being written. `experiment` was loaded before its files were
    read: if it was written since, which may be newer, Overtaken is raised, unless this one `may_overtake` it.
    """
    plans = read_plans(store, experiment.expid, content.runs, experiment.plans_source)
    with transaction.atomic():
        before = _lock_row(experiment)
        guard()
        is_overtaken = before.refreshed_at != experiment.refreshed_at
        if is_overtaken and not may_overtake:
            raise Overtaken
        if content.absence:
            _say_absent(experiment, files, content.absence)
            external_changes.record_folder_change(experiment, before, content.absence)
            return None
        known = () if is_overtaken else restore_fingerprint(experiment.fingerprint)
        difference = _sync(experiment, store, content, before, are_edges_known=are_edges_same(known, files))
        refreshed_at = timezone.now()
        Experiment.objects.filter(pk=experiment.pk).update(
            **_describe_liveness(alive),
            **_describe_edges(difference),
            **({"plans": plans.plans, "plans_source": plans.source} if plans else {}),
            status_counts=difference.counts,
            total_jobs=sum(difference.counts.values()),
            problem="",
            problem_since=None,
            is_absent=False,
            fingerprint=files,
            changed_at=_get_change_time(files),
            refreshed_at=refreshed_at,
        )
        external_changes.record_job_changes(experiment, store, before, alive, difference)
        external_changes.record_folder_change(experiment, before, "")
    return content.make_cached(difference.snapshot, refreshed_at)


def _sync(
    experiment: Experiment, store: Store, content: Content, before: external_changes.Before, *, are_edges_known: bool
) -> Difference:
    edges, cached = content.job_list.edges, content.cached
    _sync_runs(experiment, content.runs)
    return sync_jobs(
        experiment.pk,
        content.job_list.jobs,
        content.attempts.newest,
        lambda: edges or read_dependencies(store.structure_database(experiment.expid)),
        are_edges_known=are_edges_known and not edges,
        before=cached.snapshot if cached else None,
        is_before_written=cached is not None and cached.written_at == before.refreshed_at,
    )


def _lock_row(experiment: Experiment) -> external_changes.Before:
    """Lock the row of an experiment, but not against new actions on it, and return its mirrored state."""
    rows = Experiment.objects.select_for_update(no_key=True)
    locked = rows.values_list("is_running", "is_absent", "refreshed_at")
    return external_changes.Before(*locked.get(pk=experiment.pk))


def say_locked(experiment: Experiment, alive: Liveness) -> None:
    """Write who holds the lock without being a run; blank if nobody does any more."""
    Experiment.objects.filter(pk=experiment.pk).update(**_describe_liveness(alive))


def say_unreadable(experiment: Experiment, alive: Liveness, problem: str) -> None:
    """Write what could not be read. The mirrored rows stay, and are stale since this was first seen."""
    Experiment.objects.filter(pk=experiment.pk).update(
        **_describe_liveness(alive), problem=problem, problem_since=Coalesce("problem_since", timezone.now())
    )


def _say_absent(experiment: Experiment, files: Fingerprint, absence: str) -> None:
    alive = Liveness(False, None, absence[:300])
    Experiment.objects.filter(pk=experiment.pk).update(
        **_describe_liveness(alive),
        problem="",
        problem_since=None,
        is_absent=True,
        fingerprint=files,
        refreshed_at=timezone.now(),
    )


def _describe_edges(difference: Difference) -> dict[str, Any]:
    edges = difference.edges
    return {} if edges is None else {"are_edges_known": edges.are_known, "edges_note": edges.note}


def _describe_liveness(alive: Liveness) -> dict[str, Any]:
    return {
        "is_running": alive.is_running,
        "evidence": alive.evidence[:300],
        "ignores_interrupt": alive.ignores_interrupt,
        "locked_by": alive.locked_by,
    }


def _read_job_list(store: Store, expid: str, known: Decoded | None) -> JobList:
    try:
        job_list = read_job_list(store.job_list(expid), known)
    except FileNotFoundError:  # not generated yet
        job_list = JobList()
    return replace(job_list, jobs=add_wrappers(job_list.jobs, read_wrappers(store.wrapper_database(expid))))


def _sync_runs(experiment: Experiment, records: list[RunRecord]) -> None:
    fields = [*RunRecord.__dataclass_fields__]
    rows = Run.objects.filter(experiment=experiment).values_list(*fields)
    existing = {row[0]: row for row in rows}
    wanted = {record.run_id: tuple(getattr(record, name) for name in fields) for record in records}
    gone = existing.keys() - wanted.keys()
    if gone:
        Run.objects.filter(experiment=experiment, run_id__in=gone).delete()
    Run.objects.bulk_create(
        [
            Run(experiment=experiment, **dict(zip(fields, row, strict=True)))
            for number, row in wanted.items()
            if existing.get(number) != row
        ],
        update_conflicts=True,
        unique_fields=["experiment", "run_id"],
        update_fields=[name for name in fields if name != "run_id"],
    )


def restore_fingerprint(stored: list[list[int]]) -> Fingerprint:
    """Return a fingerprint that was kept as JSON."""
    return tuple((mtime, size, inode) for mtime, size, inode in stored)


def _get_change_time(files: Fingerprint) -> datetime | None:
    newest = max((mtime for mtime, _, _ in files), default=0)
    return to_moment(newest / 1e9) if newest > 0 else None
