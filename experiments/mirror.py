"""The mirror of one experiment: what its store says, into rows."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from autosubmit_portal.access.unix import name_of
from experiments import outside
from experiments.autosubmit.liveness import Liveness, liveness, read_locks
from experiments.autosubmit.store import (
    NO_OWNER,
    BrokenStore,
    ExperimentRecord,
    Fingerprint,
    Recorded,
    Store,
    are_edges_same,
    fingerprint,
    locate,
    read_experiments,
)
from experiments.models import Experiment, Run, Site
from jobs.autosubmit.history import RunRecord, UnreadableHistory, read_job_times, read_runs
from jobs.autosubmit.job_list import JobList, UnreadableJobList, read_dependencies, read_job_list
from jobs.autosubmit.secrets import mask_text
from jobs.autosubmit.wrappers import read_wrappers, wrapped
from jobs.mirror import BATCH, fitted, sync


def refresh(experiment: Experiment) -> None:
    """Read one experiment anew, whatever was seen before.

    Raises BrokenStore when the site's store cannot be found. A file that cannot be read leaves the last good mirror
    in place and is told in `problem`.
    """
    store = store_of(experiment.site)
    sync_owner(experiment, owner_in(store, experiment.expid))
    alive = liveness(store.lock_file(experiment.expid), read_locks())
    try:
        write(experiment, store, fingerprint(store, experiment.expid), alive)
    except (UnreadableJobList, UnreadableHistory) as problem:
        say_unreadable(experiment, alive, str(problem))


def adopt(site: Site, expid: str) -> Experiment | None:
    """Mirror one experiment with its description and return it; None if the store does not know it, any more or yet.

    What was mirrored of one that it does not know any more is marked as gone at once.
    """
    store = store_of(site)
    record = next((record for record in read_experiments(store) if record.expid == expid), None)
    if record is None:
        present = Experiment.objects.filter(site=site, expid=expid, gone_at=None)
        if present.update(gone_at=timezone.now()):
            outside.disappeared(site, [expid])
        return None
    sync_experiments(site, [record])
    experiment = Experiment.objects.select_related("site").get(site=site, expid=expid)
    refresh(experiment)
    return experiment


def absence(experiment: Experiment) -> str:
    """Return why an experiment has no folder, by a fresh look; blank if it has one, or if nobody can tell."""
    try:
        return store_of(experiment.site).absence(experiment.expid)
    except BrokenStore:
        return ""


def store_of(site: Site) -> Store:
    """Return where the store of a site is; raise BrokenStore with the reason when it cannot be found."""
    return locate(site.home_folder, site.configuration_file)


@dataclass(frozen=True, slots=True)
class Synced:
    """What differed in the list of experiments: expids that are new, and (expid, old, new) of descriptions."""

    new: list[str]
    described: list[tuple[str, str, str]]


def sync_experiments(site: Site, records: Iterable[ExperimentRecord]) -> Synced:
    """Create the experiments that are new and update those that differ from their records, with one query for each."""
    wanted = {record.expid: _values(record) for record in records}
    fields = [*next(iter(wanted.values()), {})]
    rows = Experiment.objects.filter(site=site).values("expid", "pk", *fields)
    known = {row.pop("expid"): row for row in rows.iterator()}
    new = [Experiment(site=site, expid=expid, **wanted[expid]) for expid in wanted if expid not in known]
    Experiment.objects.bulk_create(new, ignore_conflicts=True, batch_size=BATCH)
    synced = Synced([experiment.expid for experiment in new], [])
    for expid, row in known.items():
        values = wanted.get(expid)
        if values and row != {"pk": row["pk"], **values}:
            Experiment.objects.filter(pk=row["pk"]).update(**values)
            _note(synced, expid, row, values)
    return synced


def _note(synced: Synced, expid: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    if before["gone_at"] is not None:
        synced.new.append(expid)
    elif (old := mask_text(before["description"])) != after["description"]:
        synced.described.append((expid, old, after["description"]))


Owner = tuple[int | None, str]
"""The uid of the folder of an experiment, and what the host calls it; see `Experiment.owner_uid`."""


def owner_in(store: Store, expid: str) -> Owner | None:
    """Return who owns the folder of an experiment; None if it has none, as while it is archived."""
    uid = store.folder_owner(expid)
    if uid is None:
        return None
    return uid, "" if uid == NO_OWNER else name_of(uid)[:100]


def look_whose_folder(experiment: Experiment) -> None:
    """Write whose folder it is now; where the store is not found, who was seen last stays."""
    with suppress(BrokenStore):
        sync_owner(experiment, owner_in(store_of(experiment.site), experiment.expid))


def sync_owner(experiment: Experiment, owner: Owner | None) -> None:
    """Write whose folder was seen, if one was, and record it when it is of another account than before."""
    if owner is None or owner == (experiment.owner_uid, experiment.owner):
        return
    with transaction.atomic():
        rows = Experiment.objects.select_for_update(no_key=True).filter(pk=experiment.pk)
        uid, name = rows.values_list("owner_uid", "owner").get()
        rows.update(owner_uid=owner[0], owner=owner[1])
        if uid not in (None, owner[0]):
            outside.owner_changed(experiment, name, owner[1])
    experiment.owner_uid, experiment.owner = owner


def sync_statuses(site: Site, statuses: Mapping[str, Recorded]) -> list[str]:
    """Write what the status table says where it differs from what it said, and return the expids of those."""
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


def mark_gone(site: Site, expids: set[str]) -> list[str]:
    """Mark the experiments that are not among `expids` as gone from the store and return them; nothing is deleted."""
    present = Experiment.objects.filter(site=site, gone_at=None).values_list("expid", "pk")
    gone = {expid: pk for expid, pk in present if expid not in expids}
    for start in range(0, len(gone), BATCH):
        pks = [*gone.values()][start : start + BATCH]
        Experiment.objects.filter(pk__in=pks).update(gone_at=timezone.now())
    return [*gone]


def _values(record: ExperimentRecord) -> dict[str, Any]:
    fields = (name for name in record.__dataclass_fields__ if name != "expid")
    values = {name: getattr(record, name) for name in fields} | {"gone_at": None}
    # An address of git in `model` may hold a password, and so may whatever somebody has typed.
    return fitted(Experiment, {name: mask_text(v) if isinstance(v, str) else v for name, v in values.items()})


def write(
    experiment: Experiment,
    store: Store,
    files: Fingerprint,
    alive: Liveness,
    *,
    guard: Callable[[], None] = lambda: None,
) -> None:
    """Write what the store says of one experiment; raise UnreadableJobList or UnreadableHistory, changing nothing.

    Of an experiment that has no folder, because it is archived, what was mirrored before stays. `guard` is called
    in the transaction and may raise to keep anything from being written.
    """
    absence = store.absence(experiment.expid)
    content = None if absence else _read(store, experiment.expid)
    with transaction.atomic():
        before = _before(experiment)
        guard()
        if content is None:
            _say_absent(experiment, files, absence)
            outside.folder_changed(experiment, before, absence)
            return
        difference = sync(
            experiment.pk,
            content.job_list.jobs,
            content.times,
            lambda: content.job_list.edges or read_dependencies(store.structure_database(experiment.expid)),
            are_edges_known=not content.job_list.edges
            and are_edges_same(as_fingerprint(experiment.fingerprint), files),
        )
        _sync_runs(experiment, content.runs)
        Experiment.objects.filter(pk=experiment.pk).update(
            **_seen_alive(alive),
            status_counts=difference.counts,
            total_jobs=sum(difference.counts.values()),
            problem="",
            problem_since=None,
            is_absent=False,
            fingerprint=files,
            changed_at=_changed_at(files),
            refreshed_at=timezone.now(),
        )
        outside.jobs_changed(experiment, store, before, alive, difference)
        outside.folder_changed(experiment, before, absence)


def _before(experiment: Experiment) -> outside.Before:
    """Lock the row of an experiment, but not against new actions on it, and return what is mirrored."""
    rows = Experiment.objects.select_for_update(no_key=True)
    locked = rows.values_list("is_running", "is_absent", "refreshed_at")
    return outside.Before(*locked.get(pk=experiment.pk))


def say_unreadable(experiment: Experiment, alive: Liveness, problem: str) -> None:
    """Tell what could not be read; what was mirrored before stays, and is stale since this was first seen."""
    Experiment.objects.filter(pk=experiment.pk).update(
        **_seen_alive(alive), problem=problem, problem_since=Coalesce("problem_since", timezone.now())
    )


def _say_absent(experiment: Experiment, files: Fingerprint, absence: str) -> None:
    alive = Liveness(False, None, absence[:300])
    Experiment.objects.filter(pk=experiment.pk).update(
        **_seen_alive(alive),
        problem="",
        problem_since=None,
        is_absent=True,
        fingerprint=files,
        refreshed_at=timezone.now(),
    )


def _seen_alive(alive: Liveness) -> dict[str, Any]:
    return {"is_running": alive.is_running, "evidence": alive.evidence}


@dataclass(frozen=True, slots=True)
class _Content:
    job_list: JobList
    times: dict[str, Any]
    runs: list[RunRecord]


def _read(store: Store, expid: str) -> _Content:
    history = store.history_database(expid)
    with ThreadPoolExecutor(1) as beside:  # another process decodes the list meanwhile
        reading = beside.submit(_read_job_list, store, expid)
        times, runs = read_job_times(history), read_runs(history)
        return _Content(reading.result(), times, runs)


def _read_job_list(store: Store, expid: str) -> JobList:
    try:
        job_list = read_job_list(store.job_list(expid))
    except FileNotFoundError:  # not generated yet
        job_list = JobList()
    return replace(job_list, jobs=wrapped(job_list.jobs, read_wrappers(store.wrapper_database(expid))))


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


def as_fingerprint(stored: list[list[int]]) -> Fingerprint:
    """Return a fingerprint that was kept as JSON."""
    return tuple((mtime, size, inode) for mtime, size, inode in stored)


def _changed_at(files: Fingerprint) -> datetime | None:
    newest = max((mtime for mtime, _, _ in files), default=0)
    return datetime.fromtimestamp(newest / 1e9, UTC) if newest else None
