"""Mirror one experiment: from what the agent of its site reads to rows."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from experiments import reads
from experiments.autosubmit.forms import ExperimentReading, Owner, RunState
from experiments.autosubmit.plans import ReadPlans
from experiments.autosubmit.store import BrokenStore, Fingerprint, Recorded, are_edges_same
from experiments.forecast.forecast import forget_end
from experiments.mirror import external_changes, observe, run_ends
from experiments.mirror.observe import Look
from experiments.mirror.sightings import Sighting, choose, sight
from experiments.models import Experiment, Run, Site
from experiments.registry import choose_record, is_among, mark_gone, read_numbers, sync_experiments
from experiments.row_cache import Cached
from jobs.autosubmit.history import RunRecord
from jobs.autosubmit.values import to_moment
from jobs.mirror import Difference, Row, make_rows, sync_jobs

_TRIES = 3


class Overtaken(Exception):
    """Another process has written the experiment meanwhile, so that what was read of it does not fit: read it again."""


def refresh(experiment: Experiment) -> None:
    """Read one experiment anew, whatever was seen before.

    Raises BrokenStore when the site's store cannot be read now. A file that cannot be read leaves the last good mirror
    in place and is told in `problem`. What lies under the expid of an experiment that is gone is of another one, and
    is not read into it.
    """
    fresh = observe.look_at(experiment.site, experiment.expid)
    if is_among(fresh.records, experiment):
        _refresh(experiment.pk, fresh)


def _refresh(experiment_id: int, fresh: Look) -> None:
    """Read one experiment; try again when another process has written it meanwhile, at most _TRIES times."""
    for _ in range(_TRIES):
        with suppress(Overtaken):
            _read_and_write(experiment_id, fresh, may_overtake=False)
            return
    _read_and_write(experiment_id, fresh, may_overtake=True)


def _read_and_write(experiment_id: int, fresh: Look, *, may_overtake: bool) -> None:
    experiment = Experiment.objects.select_related("site").get(pk=experiment_id)
    sync_owner(experiment, fresh.owner)
    host = reads.find_host(experiment.site)
    try:
        reading = observe.read(host, observe.make_request(experiment))
    except reads.Unreadable as problem:
        say_unreadable(experiment, fresh.alive, str(problem))
    else:
        alive = choose([sight(reading.alive, host), *([] if fresh.alive.host == host.pk else [fresh.alive])])
        write(experiment, replace(reading, alive=alive), may_overtake=may_overtake)


def adopt(site: Site, expid: str) -> Experiment | None:
    """Mirror one experiment with its description and return it; None if the store does not have it (yet, or any more).

    What was mirrored of one that it does not know any more is marked as gone at once.
    """
    fresh = observe.look_at(site, expid)
    record = choose_record(fresh.records, read_numbers(site, [expid]))
    if record is None:
        if mark_gone(site, expid):
            external_changes.record_deleted(site, [expid])
        return None
    with transaction.atomic():
        replaced = sync_experiments(site, [record]).replaced
        external_changes.record_deleted(site, replaced)
        external_changes.record_created(site, replaced)
    experiment = Experiment.objects.select_related("site").get(site=site, expid=expid, gone_at=None)
    _refresh(experiment.pk, fresh)
    return experiment


def look(experiment: Experiment) -> Look | None:
    """Return what the store has of an experiment now, and write whose folder it is; None if that is unknown."""
    try:
        fresh = observe.look_at(experiment.site, experiment.expid)
    except BrokenStore:
        return None
    if is_among(fresh.records, experiment):
        sync_owner(experiment, fresh.owner)
    return fresh


def look_alive(experiment: Experiment) -> Sighting | None:
    """Check only whether the run of an experiment lives; None without a change if that is unknown."""
    try:
        alive = observe.look_at(experiment.site, experiment.expid).alive
    except BrokenStore:
        return None
    _write_liveness(experiment, alive)
    return alive


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
    rows = Experiment.objects.filter(site=site, gone_at=None, expid__in=statuses)
    known = {expid: told for expid, *told in rows.values_list("expid", "recorded_status", "recorded_at")}
    differing = [expid for expid, told in known.items() if told != [statuses[expid].status, statuses[expid].at]]
    for expid in differing:
        rows.filter(expid=expid).update(recorded_status=statuses[expid].status, recorded_at=statuses[expid].at)
    return differing


def write(
    experiment: Experiment,
    reading: ExperimentReading,
    *,
    cached: Cached | None = None,
    may_overtake: bool = False,
    guard: Callable[[], None] = lambda: None,
) -> Cached | None:
    """Write what was read of one experiment; return what may be cached of it.

    Of an experiment that has no folder, because it is archived, what was mirrored before stays. `cached` is what the
    agent was told that we have. `guard` is called in the transaction and may raise to keep anything from being written.
    `experiment` was loaded before its files were read: if it was written since, which may be newer, Overtaken is
    raised, unless this one `may_overtake` it.
    """
    rows = _make_rows(reading, cached)
    with transaction.atomic():
        before = _lock_row(experiment)
        guard()
        if before.refreshed_at != experiment.refreshed_at and not may_overtake:
            raise Overtaken
        if reading.absence:
            _say_absent(experiment, reading)
            external_changes.record_folder_change(experiment, before, reading.absence)
            return None
        _sync_runs(experiment, reading.runs)
        difference = _sync(experiment, reading, rows, cached, before)
        run_ends.settle_end(experiment, was_running=before.is_running, is_running=reading.alive.is_running)
        refreshed_at = timezone.now()
        Experiment.objects.filter(pk=experiment.pk).update(
            **_describe_liveness(reading.alive),
            **_describe_edges(difference),
            **_describe_plans(reading.plans),
            **_describe_failures(experiment, reading, difference),
            **_forget_seen(experiment, difference),
            **(_describe_beginning(experiment) if reading.alive.is_running and not before.is_running else {}),
            status_counts=difference.counts,
            total_jobs=sum(difference.counts.values()),
            problem="",
            problem_since=None,
            is_absent=False,
            fingerprint=reading.files,
            changed_at=_get_change_time(reading.files),
            refreshed_at=refreshed_at,
        )
        external_changes.record_job_changes(experiment, reading, before, difference)
        external_changes.record_folder_change(experiment, before, "")
    return Cached(rows, reading.revision, reading.edges_mark, refreshed_at)


def _make_rows(reading: ExperimentReading, cached: Cached | None) -> Mapping[str, Row]:
    """Return the rows of all jobs: those that were told, and of a difference those that were told before."""
    rows = make_rows(reading.jobs, reading.attempts)
    if not reading.base:
        return rows
    if cached is None or cached.revision != reading.base:
        raise Overtaken
    gone = set(reading.removed)
    return {name: row for name, row in cached.rows.items() if name not in gone} | rows


def _sync(
    experiment: Experiment,
    reading: ExperimentReading,
    rows: Mapping[str, Row],
    cached: Cached | None,
    before: external_changes.Before,
) -> Difference:
    is_cache_written = cached is not None and cached.written_at == before.refreshed_at
    is_overtaken = before.refreshed_at != experiment.refreshed_at
    known = () if is_overtaken else restore_fingerprint(experiment.fingerprint)
    has_told = reading.edges is not None or not reading.has_edges

    def find_edges() -> Iterable[tuple[str, str]] | None:
        if not has_told:
            raise Overtaken
        return reading.edges if reading.has_edges else None

    return sync_jobs(
        experiment.pk,
        rows,
        find_edges,
        are_edges_known=are_edges_same(known, reading.files) if has_told else is_cache_written,
        known=cached.rows if cached and is_cache_written else None,
    )


def _lock_row(experiment: Experiment) -> external_changes.Before:
    """Lock the row of an experiment, but not against new actions on it, and return its mirrored state."""
    rows = Experiment.objects.select_for_update(no_key=True)
    locked = rows.values_list("is_running", "is_absent", "refreshed_at")
    return external_changes.Before(*locked.get(pk=experiment.pk))


def say_locked(experiment: Experiment, alive: RunState) -> None:
    """Write who holds the lock without being a run; blank if nobody does any more."""
    _write_liveness(experiment, alive)


def _write_liveness(experiment: Experiment, alive: RunState, **values: Any) -> None:
    """Write whether the run of an experiment lives, with other values of its row; and its end, if it has ended."""
    rows = Experiment.objects.filter(pk=experiment.pk)
    if not alive.is_running and rows.filter(is_running=True).exists():
        run_ends.settle_end(experiment, was_running=True, is_running=False)
    elif alive.is_running and rows.filter(is_running=False).exists():
        values |= _describe_beginning(experiment)
    rows.update(**_describe_liveness(alive), **values)


def _describe_beginning(experiment: Experiment) -> dict[str, Any]:
    """Say of a run that has begun that nothing is forecast yet: what is kept is of the run before."""
    told = Experiment.objects.filter(pk=experiment.pk).values_list("forecast", flat=True).get()
    return {"forecast": forget_end(told, timezone.now())} if told else {}


def say_unreadable(experiment: Experiment, alive: RunState, problem: str) -> None:
    """Write what could not be read. The mirrored rows stay, and are stale since this was first seen."""
    since = Coalesce("problem_since", timezone.now())
    _write_liveness(experiment, alive, problem=problem, problem_since=since)


def _say_absent(experiment: Experiment, reading: ExperimentReading) -> None:
    alive = RunState(is_running=False, pid=None, evidence=reading.absence[:300])
    Experiment.objects.filter(pk=experiment.pk).update(
        **_describe_liveness(alive),
        problem="",
        problem_since=None,
        is_absent=True,
        fingerprint=reading.files,
        refreshed_at=timezone.now(),
    )


def _describe_edges(difference: Difference) -> dict[str, Any]:
    edges = difference.edges
    return {} if edges is None else {"are_edges_known": edges.are_known, "edges_note": edges.note}


def _describe_plans(read: ReadPlans | None) -> dict[str, Any]:
    if read is None:
        return {}
    return {
        "plans": read.plans,
        "plans_source": read.source,
        "sleep_seconds": read.sleep_seconds,
        "limits": read.limits,
    }


def _describe_failures(experiment: Experiment, reading: ExperimentReading, difference: Difference) -> dict[str, Any]:
    """Say when jobs have failed, where there are more than before; of what is new, when its job list has changed."""
    if difference.counts.get("FAILED", 0) <= experiment.count("FAILED"):
        return {}
    return {"failed_at": timezone.now() if experiment.refreshed_at else reading.changed_at or timezone.now()}


def _forget_seen(experiment: Experiment, difference: Difference) -> dict[str, Any]:
    """Forget since when jobs were seen that have another status now: they may be in that one again before the vigil."""
    moved = {name for names in difference.moved.values() for name in names}
    if not moved:
        return {}
    seen = Experiment.objects.filter(pk=experiment.pk).values_list("active_since", flat=True).get()
    kept = {name: since for name, since in seen.items() if name not in moved}
    return {} if kept == seen else {"active_since": kept}


def _describe_liveness(alive: RunState) -> dict[str, Any]:
    return {
        "is_running": alive.is_running,
        "evidence": alive.evidence[:300],
        "ignores_interrupt": alive.ignores_interrupt,
        "locked_by": alive.locked_by,
        **({"run_host_id": alive.host} if isinstance(alive, Sighting) and alive.is_running else {}),
    }


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
