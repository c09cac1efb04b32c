"""The job list of an experiment into rows, by difference."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

from django.db import connection
from django.db.models import DateTimeField, Func, Model

from jobs import trigrams
from jobs.autosubmit.attempts import choose_attempt
from jobs.autosubmit.edges import Edges, select_edges
from jobs.autosubmit.history import JobTimes
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.statuses import RESET
from jobs.models import Job, JobDependency

BATCH = 1000
MIRRORED_FIELDS = [field.name for field in Job._meta.concrete_fields if field.name not in ("id", "experiment", "name")]
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
    (MIRRORED_FIELDS.index(name), blank) for name, blank in (("remote_id", None), ("out_log", ""), ("err_log", ""))
]

T = TypeVar("T")
Row = tuple[Any, ...]
"""The values of a job in the order of MIRRORED_FIELDS."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a job list changed in the rows: names of new jobs, of jobs gone, and by old and new status of the others.

    `counts` is the number of jobs per status afterwards. It is false if no job came, went or got another status.
    `edges` are None where they stay.
    """

    counts: dict[str, int]
    added: list[str]
    removed: list[str]
    moved: dict[tuple[str, str], list[str]]
    edges: Edges | None = None

    def __bool__(self) -> bool:
        """Return whether anything of that has changed."""
        return bool(self.added or self.removed or self.moved)

    @property
    def names(self) -> list[str]:
        """The jobs that it is about: those with another status first."""
        return [name for names in self.moved.values() for name in names] + self.added + self.removed


def fit_values(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of fields, texts no longer than their column takes: what a store holds is not to be trusted."""
    fitting = dict(values)
    for name, longest in _list_longest(model):
        value = fitting.get(name)
        if isinstance(value, str) and len(value) > longest:
            fitting[name] = value[:longest]
    return fitting


@cache
def _list_longest(model: type[Model]) -> list[tuple[str, int]]:
    return [(field.name, field.max_length) for field in model._meta.concrete_fields if field.max_length]


def sync_jobs(
    experiment_id: int,
    rows: Mapping[str, Row],
    dependencies: Callable[[], Iterable[tuple[str, str]] | None],
    *,
    are_edges_known: bool = False,
    known: Mapping[str, Row] | None = None,
) -> Difference:
    """Make the rows of one experiment equal to those of its job list; return what was different.

    `dependencies` returns (parent, child) names, None where the store has none; edges of unknown jobs are left out and
    told of. With `are_edges_known` it is called only if jobs came or went. `known` are the rows that are in the
    database, if that is certain. Call this in a transaction that holds the row of the experiment, so that two mirrors
    do not add the same job.
    """
    statuses = _sync_jobs(experiment_id, rows, known)
    difference = _compare_statuses(statuses, {name: row[_STATUS] for name, row in rows.items()})
    if are_edges_known and not (difference.added or difference.removed):
        return difference
    edges = select_edges(dependencies(), rows)
    _sync_dependencies(experiment_id, edges.between)
    return replace(difference, edges=edges)


def make_rows(records: Iterable[JobRecord], times: Mapping[str, JobTimes]) -> dict[str, Row]:
    """Return the row of each job by its name."""
    return {record.name: _make_row(record, times.get(record.name)) for record in records}


def _compare_statuses(before: Mapping[str, str], after: Mapping[str, str]) -> Difference:
    moved: dict[tuple[str, str], list[str]] = {}
    for name, status in after.items():
        if before.get(name, status) != status:
            moved.setdefault((before[name], status), []).append(name)
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    return Difference(dict(Counter(after.values())), added, removed, moved)


def _make_row(record: JobRecord, times: JobTimes | None) -> Row:
    """Return the fields of one job: what the job list says, then what the history knows of the same attempt.

    Each job of each changed list comes this way, hence no dictionaries.
    """
    row: list[Any] = [*_BLANK]
    for place, value in zip(_RECORD_PLACES, _of_record(record), strict=True):
        row[place] = value
    if record.status in RESET:
        for place, blank in _STALE_PLACES:
            row[place] = blank
    elif (attempt := choose_attempt(record, times)) is not None:
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


def _sync_jobs(experiment_id: int, wanted: Mapping[str, Row], known: Mapping[str, Row] | None) -> dict[str, str]:
    """Write what differs and return the status that each job had."""
    before: dict[str, str] = {}
    changed: dict[
        tuple[str, ...], dict[str, tuple[Any, ...]]
    ] = {}  # by the fields that differ: mostly the status alone
    for name, row in _read_existing(experiment_id) if known is None else known.items():
        before[name] = row[_STATUS]
        after = wanted.get(name, row)
        if row is not after and row != after:
            values = _find_differing(row, after)
            changed.setdefault(tuple(values), {})[name] = tuple(values.values())
    gone = [name for name in before if name not in wanted]
    leaving = [Job.objects.filter(experiment=experiment_id, name__in=some) for some in split_batches(gone)]
    new = ((experiment_id, name, *row) for name, row in wanted.items() if name not in before)
    with trigrams.write_in_bulk(leaving) if gone or len(wanted) > len(before) else nullcontext():
        for jobs in leaving:
            jobs.delete()
        _insert(Job, ["experiment", "name", *MIRRORED_FIELDS], new)
    for fields, rows in changed.items():
        _update(experiment_id, fields, rows)
    return before


def _read_existing(experiment_id: int) -> Iterator[tuple[str, Row]]:
    """Yield the name and the values of each job. Django's own conversion of instants takes as long as all the rest.

    So they are asked for without their zone, which SQLite does not know anyhow.
    """
    values: list[Any] = [*MIRRORED_FIELDS]
    if connection.vendor == "postgresql":
        for place in _INSTANTS:
            values[place] = Func(values[place], template="%(expressions)s AT TIME ZONE 'UTC'")
    rows = Job.objects.filter(experiment=experiment_id).order_by().values_list("name", *values)
    with connection.chunked_cursor() as cursor:
        cursor.execute(*rows.query.sql_with_params())
        while found := cursor.fetchmany(BATCH):
            for name, *row in found:
                for place in _INSTANTS:
                    if row[place] is not None:
                        row[place] = row[place].replace(tzinfo=UTC)
                yield name, tuple(row)


def _find_differing(row: Sequence[Any], wanted: Row) -> dict[str, Any]:
    return {name: after for name, before, after in zip(MIRRORED_FIELDS, row, wanted, strict=True) if before != after}


def _sync_dependencies(experiment_id: int, wanted: set[tuple[str, str]]) -> None:
    pks = dict(Job.objects.filter(experiment_id=experiment_id).values_list("name", "pk").iterator())
    new = {(pks[parent], pks[child]) for parent, child in wanted}
    rows = JobDependency.objects.filter(parent__experiment_id=experiment_id)
    stale = []
    for pk, parent, child in rows.values_list("pk", "parent_id", "child_id").iterator():
        if (parent, child) in new:
            new.remove((parent, child))
        else:
            stale.append(pk)
    for some in split_batches(stale):
        JobDependency.objects.filter(pk__in=some).delete()
    _insert(JobDependency, ["parent", "child"], sorted(new))


def split_batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items, so many at a time as go into one query."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _update(experiment_id: int, fields: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> None:
    """Update these fields of jobs by their name. Django's bulk_update writes a long case for each row and field."""
    places = ", ".join(f"{column} = %s" for column in _quote_columns(Job, fields))
    where = f"{' = %s AND '.join(_quote_columns(Job, ['experiment', 'name']))} = %s"
    query = f"UPDATE {_quote(Job._meta.db_table)} SET {places} WHERE {where}"  # noqa: S608 - our columns
    instants = _find_instants(Job, fields)
    with connection.cursor() as cursor:
        cursor.executemany(query, [(*_adapt_row(row, instants), experiment_id, name) for name, row in rows.items()])


def _insert(model: type[Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows. Django's bulk_create spends four times as long, on SQL text and on objects for each of them."""
    table = f"{_quote(model._meta.db_table)} ({', '.join(_quote_columns(model, names))})"
    waiting = iter(rows)
    while some := list(islice(waiting, BATCH)):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with connection.wrap_database_errors, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in some:
                        copy.write_row(row)
            else:
                instants = _find_instants(model, names)
                query = f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608 - our columns
                cursor.executemany(query, [_adapt_row(row, instants) for row in some])


def _quote(name: str) -> str:
    return connection.ops.quote_name(name)


def _quote_columns(model: type[Model], names: Sequence[str]) -> list[str]:
    of_name = {field.name: field.column for field in model._meta.concrete_fields}
    return [_quote(str(of_name[name])) for name in names]


def _find_instants(model: type[Model], names: Sequence[str]) -> list[int]:
    """Return the places of the instants among the fields of a row."""
    kinds = {field.name: field for field in model._meta.concrete_fields}
    return [place for place, name in enumerate(names) if isinstance(kinds[name], DateTimeField)]


def _adapt_row(row: Sequence[Any], instants: Sequence[int]) -> Sequence[Any]:
    """Return a row as the database takes it: SQLite has no type for instants."""
    if connection.vendor == "postgresql":
        return row
    values = list(row)
    for place in instants:
        if values[place] is not None:
            values[place] = connection.ops.adapt_datetimefield_value(values[place])
    return values


_INSTANTS = _find_instants(Job, MIRRORED_FIELDS)
_LONGEST_PLACES = [
    (MIRRORED_FIELDS.index(name), longest) for name, longest in _list_longest(Job) if name in MIRRORED_FIELDS
]
