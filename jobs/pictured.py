"""What pictures of jobs are made of, read from the rows: jobs, edges, and what holds a job up."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Count, F, Func, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from jobs.autosubmit.statuses import DONE
from jobs.models import Job, JobDependency
from jobs.pictures.blocked import ENDED_BADLY
from jobs.pictures.picture import Edge, PicturedJob
from jobs.pictures.sections import SectionEdge

_INSTANTS = {"date", "submitted_at", "started_at", "finished_at"}
_COLUMNS = [name for name in PicturedJob._fields if name != "seen_at"]
MOST_IN_SURROUNDINGS = 400
MOST_BLOCKING_EDGES = 50_000
# Edges whose parent is not done, from a job back; what is before a job that failed or is suspended does not matter.
_BLOCKING = """
    WITH RECURSIVE back(parent, child, status) AS (
        SELECT d.parent_id, d.child_id, p.status FROM jobs_jobdependency d JOIN jobs_job p ON p.id = d.parent_id
        WHERE d.child_id = %s AND p.status NOT IN ({done})
        UNION
        SELECT d.parent_id, d.child_id, p.status FROM back
        JOIN jobs_jobdependency d ON d.child_id = back.parent JOIN jobs_job p ON p.id = d.parent_id
        WHERE back.status NOT IN ({ended}) AND p.status NOT IN ({done})
    )
    SELECT parent, child, status FROM back LIMIT {most}
"""


class Seconds(Func):
    """An instant in seconds since 1970: Django's objects for the instants of many jobs take as long as all the rest."""

    output_field = BigIntegerField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Write it for SQLite, which has instants as texts."""
        template = "CAST(strftime('%%%%s', %(expressions)s) AS integer)"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Write it for PostgreSQL."""
        template = "CAST(floor(EXTRACT(EPOCH FROM %(expressions)s)) AS bigint)"
        return self.as_sql(compiler, connection, template=template, **context)


def list_pictured(jobs: "QuerySet[Job]") -> list[PicturedJob]:
    """Return what pictures need of these jobs, in the order of the job list."""
    columns = (Seconds(name) if name in _INSTANTS else F(name) for name in _COLUMNS)
    return [PicturedJob(*row) for row in jobs.order_by("pk").values_list(*columns)]


def list_edges(jobs: Sequence[PicturedJob], experiment_id: int) -> list[Edge]:
    """Return the edges between these jobs of an experiment, by their places in the list."""
    rows = JobDependency.objects.filter(parent__experiment_id=experiment_id)
    return _place_edges(jobs, rows.values_list("parent_id", "child_id"))


def _place_edges(jobs: Sequence[PicturedJob], pairs: Iterable[tuple[int, int]]) -> list[Edge]:
    places = {job.pk: place for place, job in enumerate(jobs)}
    return [(places[parent], places[child]) for parent, child in pairs if parent in places and child in places]


def list_surroundings(job: Job, steps: int) -> tuple[list[PicturedJob], list[Edge]]:
    """Return the jobs at most so many steps before and after a job, with the edges between them.

    There are at most MOST_IN_SURROUNDINGS, the nearest ones.
    """
    found = {job.pk: None}
    ends = [({job.pk}, "child_id", "parent_id"), ({job.pk}, "parent_id", "child_id")]
    for _ in range(steps):
        ends = [(_step(level, known, wanted) - found.keys(), known, wanted) for level, known, wanted in ends]
        for level, _, _ in ends:
            found |= dict.fromkeys(sorted(level))
    return _read_some([*found][:MOST_IN_SURROUNDINGS])


def _step(level: set[int], known: str, wanted: str) -> set[int]:
    rows = JobDependency.objects.filter(**{f"{known}__in": sorted(level)[:MOST_IN_SURROUNDINGS]})
    return set(rows.order_by(wanted).values_list(wanted, flat=True)[: 10 * MOST_IN_SURROUNDINGS]) if level else set()


def _read_some(keys: Sequence[int]) -> tuple[list[PicturedJob], list[Edge]]:
    jobs = list_pictured(Job.objects.filter(pk__in=keys))
    pairs = JobDependency.objects.filter(parent_id__in=keys, child_id__in=keys)
    return jobs, _place_edges(jobs, pairs.values_list("parent_id", "child_id"))


def list_some(keys: Iterable[int]) -> tuple[list[PicturedJob], list[Edge]]:
    """Return some jobs, at most MOST_IN_SURROUNDINGS of them, and the edges between them."""
    return _read_some([*dict.fromkeys(keys)][:MOST_IN_SURROUNDINGS])


def list_blocking_edges(job_id: int) -> tuple[list[Edge], dict[int, str]]:
    """Return the edges from parents that are not done down to a job, by keys, and the statuses of these parents.

    One query, also where ten thousand jobs wait for each other in a row.
    """
    sql = _BLOCKING.format(
        done=", ".join(["%s"] * len(DONE)), ended=", ".join(["%s"] * len(ENDED_BADLY)), most=MOST_BLOCKING_EDGES
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [job_id, *DONE, *ENDED_BADLY, *DONE])
        rows = cursor.fetchall()
    return [(parent, child) for parent, child, _ in rows], {parent: status for parent, _, status in rows}


def count_section_edges(experiment_id: int) -> list[SectionEdge]:
    """Return which sections of an experiment wait for which."""
    is_inner = Q(parent__chunk=F("child__chunk")) | Q(parent__chunk=None) | Q(child__chunk=None)
    rows = JobDependency.objects.filter(parent__experiment_id=experiment_id).order_by()
    counted = rows.values_list("parent__section", "child__section").annotate(
        number=Count("pk"), inner=Count("pk", filter=is_inner)
    )
    return sorted(SectionEdge._make(row) for row in counted)
