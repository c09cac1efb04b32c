"""The job list of an experiment into rows, by difference."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model

from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_list import JobRecord
from jobs.models import Job, JobDependency

BATCH = 1000
MIRRORED_FIELDS = [
    field.name for field in Job._meta.concrete_fields if field.name not in ("id", "experiment", "name")
]


def fitted(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of fields, texts no longer than their column takes: what a store holds is not to be trusted."""
    longest = {field.name: field.max_length for field in model._meta.concrete_fields}
    return {
        name: value[: longest[name]] if isinstance(value, str) and longest[name] else value
        for name, value in values.items()
    }


def sync(
    experiment_id: int,
    records: Iterable[JobRecord],
    times: Mapping[str, JobTimes],
    dependencies: Iterable[tuple[str, str]],
) -> dict[str, int]:
    """Make the rows of one experiment equal to its job list; return the number of jobs per status.

    `dependencies` are (parent, child) names; edges of unknown jobs are left out. Call it in a transaction that holds
    the row of the experiment, so that two mirrors do not add the same job.
    """
    wanted = {record.name: fitted(Job, _values(record, times.get(record.name))) for record in records}
    _sync_jobs(experiment_id, wanted)
    _sync_dependencies(
        experiment_id, {edge for edge in dependencies if edge[0] in wanted and edge[1] in wanted}
    )
    return dict(Counter(values["status"] for values in wanted.values()))


def _values(record: JobRecord, times: JobTimes | None) -> dict[str, Any]:
    """Return the fields of one job: what the job list says, then what only the history knows."""
    values = {name: getattr(record, name) for name in MIRRORED_FIELDS if hasattr(record, name)}
    if times is None:
        return {
            "qos": "",
            "workflow_commit": "",
            "submitted_at": None,
            "started_at": None,
            "finished_at": None,
        } | values
    for name in ("platform", "remote_id", "wallclock", "out_log", "err_log"):
        values[name] = values[name] or getattr(times, name)
    values["processors"] = values["processors"] or str(times.ncpus or "")
    newest = ("qos", "workflow_commit", "submitted_at", "started_at", "finished_at")
    return values | {name: getattr(times, name) for name in newest}


def _sync_jobs(experiment_id: int, wanted: Mapping[str, dict[str, Any]]) -> None:
    existing = {job.name: job for job in Job.objects.filter(experiment_id=experiment_id)}
    new = [
        Job(experiment_id=experiment_id, name=name, **wanted[name]) for name in wanted if name not in existing
    ]
    changed: dict[tuple[str, ...], list[Job]] = {}  # by the fields that differ: mostly the status alone
    for name in existing.keys() & wanted.keys():
        changed.setdefault(_apply(existing[name], wanted[name]), []).append(existing[name])
    changed.pop((), None)
    Job.objects.filter(pk__in=[job.pk for name, job in existing.items() if name not in wanted]).delete()
    Job.objects.bulk_create(new, batch_size=BATCH)
    for fields, jobs in changed.items():
        Job.objects.bulk_update(jobs, fields, batch_size=BATCH)


def _apply(job: Job, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Set the fields of a job and return the names of those that differed."""
    differing = {name: value for name, value in values.items() if getattr(job, name) != value}
    for name, value in differing.items():
        setattr(job, name, value)
    return tuple(sorted(differing))


def _sync_dependencies(experiment_id: int, wanted: set[tuple[str, str]]) -> None:
    rows = JobDependency.objects.filter(parent__experiment_id=experiment_id)
    existing = {
        (parent, child): pk
        for pk, parent, child in rows.values_list("pk", "parent__name", "child__name").iterator()
    }
    stale = [pk for edge, pk in existing.items() if edge not in wanted]
    new = wanted - existing.keys()
    for start in range(0, len(stale), BATCH):
        JobDependency.objects.filter(pk__in=stale[start : start + BATCH]).delete()
    if new:
        pks = dict(Job.objects.filter(experiment_id=experiment_id).values_list("name", "pk"))
        edges = [JobDependency(parent_id=pks[parent], child_id=pks[child]) for parent, child in sorted(new)]
        JobDependency.objects.bulk_create(edges, batch_size=BATCH)
