"""The job list of an experiment into rows, by difference."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cache
from operator import attrgetter
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func, Model

from jobs.autosubmit.attempts import RESET, attempt_of
from jobs.autosubmit.edges import Edges, edges_between
from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_list import JobRecord
from jobs.models import Job, JobDependency

BATCH = 1000
MIRRORED_FIELDS = [
    field.name for field in Job._meta.concrete_fields if field.name not in ("id", "experiment", "name")
]
_OF_RECORD = [name for name in MIRRORED_FIELDS if name in JobRecord.__dataclass_fields__]
_OF_HISTORY = {
    "qos": "",
    "workflow_commit": "",
    "remote_id": None,
    "submitted_at": None,
    "started_at": None,
    "finished_at": None,
}
_OF_EITHER = ("platform", "out_log", "err_log")  # the history's, where it has them

_of_record, _of_either, _of_history = (attrgetter(*names) for names in (_OF_RECORD, _OF_EITHER, _OF_HISTORY))
_RECORD_PLACES, _EITHER_PLACES, _HISTORY_PLACES = (
    [MIRRORED_FIELDS.index(name) for name in names] for names in (_OF_RECORD, _OF_EITHER, _OF_HISTORY)
)
_BLANK = [_OF_HISTORY.get(name) for name in MIRRORED_FIELDS]
_STATUS, _PROCESSORS, _WALLCLOCK = map(MIRRORED_FIELDS.index, ("status", "processors", "wallclock"))
# What the job list still says of the attempt before when it has reset a job.
_STALE_PLACES = [
    (MIRRORED_FIELDS.index(name), blank)
    for name, blank in (("remote_id", None), ("out_log", ""), ("err_log", ""))
]

Row = tuple[Any, ...]
"""The values of a job in the order of MIRRORED_FIELDS."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a job list changed in the rows: names of new jobs, of jobs gone, and by old and new status of the others.

    `counts` is the number of jobs per status afterwards. It is false if no job came, went or got another status.
    `edges` are None where they were not read again.
    """

    counts: dict[str, int]
    added: list[str]
    removed: list[str]
    moved: dict[tuple[str, str], list[str]]
    edges: Edges | None = None

    def __bool__(self) -> bool:
        """Answer whether anything of that has changed."""
        return bool(self.added or self.removed or self.moved)

    @property
    def names(self) -> list[str]:
        """The jobs that it is about: those with another status first."""
        return [name for names in self.moved.values() for name in names] + self.added + self.removed


def fitted(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of fields, texts no longer than their column takes: what a store holds is not to be trusted."""
    fitting = dict(values)
    for name, longest in _longest(model):
        value = fitting.get(name)
        if isinstance(value, str) and len(value) > longest:
            fitting[name] = value[:longest]
    return fitting


@cache
def _longest(model: type[Model]) -> list[tuple[str, int]]:
    return [(field.name, field.max_length) for field in model._meta.concrete_fields if field.max_length]


def sync(
    experiment_id: int,
    records: Iterable[JobRecord],
    times: Mapping[str, JobTimes],
    dependencies: Callable[[], Iterable[tuple[str, str]] | None],
    *,
    are_edges_known: bool = False,
) -> Difference:
    """Make the rows of one experiment equal to its job list; return what was different.

    `dependencies` returns (parent, child) names, None where the store has none; edges of unknown jobs are left out and
    told of. With `are_edges_known` it is
    called only if jobs came or went. Call this in a transaction that holds the row of the experiment, so that two
    mirrors do not add the same job.
    """
    wanted = {record.name: _row(record, times.get(record.name)) for record in records}
    before = _sync_jobs(experiment_id, wanted)
    difference = _difference(before, {name: row[_STATUS] for name, row in wanted.items()})
    if not are_edges_known or difference.added or difference.removed:
        edges = edges_between(dependencies(), wanted)
        _sync_dependencies(experiment_id, edges.between)
        difference = replace(difference, edges=edges)
    return difference


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> Difference:
    moved: dict[tuple[str, str], list[str]] = {}
    for name, status in after.items():
        if before.get(name, status) != status:
            moved.setdefault((before[name], status), []).append(name)
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    return Difference(dict(Counter(after.values())), added, removed, moved)


def _row(record: JobRecord, times: JobTimes | None) -> Row:
    """Return the fields of one job: what the job list says, then what the history knows of the same attempt.

    Each job of each changed list comes this way, hence no dictionaries.
    """
    row: list[Any] = [*_BLANK]
    for place, value in zip(_RECORD_PLACES, _of_record(record), strict=True):
        row[place] = value
    if record.status in RESET:
        for place, blank in _STALE_PLACES:
            row[place] = blank
    elif (attempt := attempt_of(record, times)) is not None:
        _add_attempt(row, attempt)
    for place, longest in _LONGEST_PLACES:
        if len(row[place]) > longest:
            row[place] = row[place][:longest]
    return tuple(row)


def _add_attempt(row: list[Any], attempt: JobTimes) -> None:
    for place, value in zip(_EITHER_PLACES, _of_either(attempt), strict=True):
        row[place] = value or row[place]
    for place, value in zip(_HISTORY_PLACES, _of_history(attempt), strict=True):
        row[place] = value
    row[_WALLCLOCK] = row[_WALLCLOCK] or attempt.wallclock
    row[_PROCESSORS] = row[_PROCESSORS] or str(attempt.ncpus or "")


def _sync_jobs(experiment_id: int, wanted: Mapping[str, Row]) -> dict[str, str]:
    """Write what differs and return the status that each job had."""
    existing = _existing(experiment_id)
    changed: dict[tuple[str, ...], list[Job]] = {}  # by the fields that differ: mostly the status alone
    for name in existing.keys() & wanted.keys():
        pk, row = existing[name]
        if row != [*wanted[name]]:
            values = _differing(row, wanted[name])
            changed.setdefault(tuple(values), []).append(Job(pk=pk, **values))
    Job.objects.filter(pk__in=[pk for name, (pk, _) in existing.items() if name not in wanted]).delete()
    new = [(experiment_id, name, *row) for name, row in wanted.items() if name not in existing]
    _insert(Job, ["experiment", "name", *MIRRORED_FIELDS], new)
    for fields, jobs in changed.items():
        Job.objects.bulk_update(jobs, fields, batch_size=BATCH)
    return {name: row[_STATUS] for name, (_, row) in existing.items()}


def _existing(experiment_id: int) -> dict[str, tuple[int, list[Any]]]:
    """Return key and values of each job. Django's own conversion of instants takes as long as all the rest.

    So they are asked for without their zone, which SQLite does not know anyhow.
    """
    values: list[Any] = [*MIRRORED_FIELDS]
    if connection.vendor == "postgresql":
        for place in _INSTANTS:
            values[place] = Func(values[place], template="%(expressions)s AT TIME ZONE 'UTC'")
    rows = Job.objects.filter(experiment=experiment_id).order_by().values_list("pk", "name", *values)
    with connection.cursor() as cursor:
        cursor.execute(*rows.query.sql_with_params())
        existing = {name: (pk, row) for pk, name, *row in cursor.fetchall()}
    for _, row in existing.values():
        for place in _INSTANTS:
            if row[place] is not None:
                row[place] = row[place].replace(tzinfo=UTC)
    return existing


def _differing(row: Sequence[Any], wanted: Row) -> dict[str, Any]:
    return {
        name: after
        for name, before, after in zip(MIRRORED_FIELDS, row, wanted, strict=True)
        if before != after
    }


def _sync_dependencies(experiment_id: int, wanted: frozenset[tuple[str, str]]) -> None:
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
        _insert(
            JobDependency,
            ["parent", "child"],
            [(pks[parent], pks[child]) for parent, child in sorted(new)],
        )


def _insert(model: type[Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows. Django's bulk_create spends four times as long, on SQL text and on objects for each of them."""
    if not rows:
        return
    table = f"{_quoted(model._meta.db_table)} ({', '.join(_columns(model, names))})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with connection.wrap_database_errors, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        instants = _instants(model, names)
        query = f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608 - our columns
        cursor.executemany(query, [_adapted(row, instants) for row in rows])


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _columns(model: type[Model], names: Sequence[str]) -> list[str]:
    of_name = {field.name: field.column for field in model._meta.concrete_fields}
    return [_quoted(str(of_name[name])) for name in names]


def _instants(model: type[Model], names: Sequence[str]) -> list[int]:
    """Return the places of the instants among the fields of a row."""
    kinds = {field.name: field for field in model._meta.concrete_fields}
    return [place for place, name in enumerate(names) if isinstance(kinds[name], DateTimeField)]


def _adapted(row: Sequence[Any], instants: Sequence[int]) -> list[Any]:
    """Return a row as the database takes it: SQLite has no type for instants."""
    values = list(row)
    for place in instants:
        if values[place] is not None:
            values[place] = connection.ops.adapt_datetimefield_value(values[place])
    return values


_INSTANTS = _instants(Job, MIRRORED_FIELDS)
_LONGEST_PLACES = [
    (MIRRORED_FIELDS.index(name), longest) for name, longest in _longest(Job) if name in MIRRORED_FIELDS
]
