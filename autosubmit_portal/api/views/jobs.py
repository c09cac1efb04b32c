"""Routes of jobs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from django.db.models import Case, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Left, NullIf, Replace, Substr
from django.db.models.lookups import Exact
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.action_requests import submit
from autosubmit_portal.api.experiment_pages import ExperimentPages
from autosubmit_portal.api.http.conditional import RevalidatedViewSet
from autosubmit_portal.api.mirrored import MirroredViewSet
from autosubmit_portal.api.objects import find_experiment, find_experiment_to_change, find_job
from autosubmit_portal.api.openapi.documentation import CONDITIONAL, answer, change, make_option_parameter, operation
from autosubmit_portal.api.openapi.examples import SIM
from autosubmit_portal.api.query.filters.jobs import TIMES, choose_order, make_condition
from autosubmit_portal.api.query.pagination import Page, make_page_info, read_page
from autosubmit_portal.api.query.queries import JobQuery, JobsQuery, RelativesQuery, SetStatusQuery, SiteQuery
from autosubmit_portal.api.query.selection import select
from autosubmit_portal.api.serializers.fields import write_instant
from autosubmit_portal.api.serializers.jobs import Children, Failure, JobDetail, JobList, Parents
from experiments.autosubmit.plans import PLANNED, Plans, add_plan
from experiments.autosubmit.store import BrokenStore
from experiments.catalogue.kinds import SET_STATUS, SET_STATUS_LIVE, ActionKind
from experiments.catalogue.selection import WAYS
from experiments.failures import Explanation, explain
from experiments.logs import Logs
from experiments.models import Experiment, Run
from experiments.planned import apply_plan
from experiments.reads import Missing, Unreadable
from jobs.autosubmit.start_dates import format_start_date
from jobs.models import Job

# The fields of a job in a list that are no columns as they are. The date is cut out of the text that the database makes
# of it, its hour only where it has one: reading ten thousand points in time takes longer than all the rest.
_DATE = Cast("date", TextField())
COLUMNS: dict[str, Any] = {
    "date": Case(
        When(Exact(Substr(_DATE, 12, 5), Value("00:00")), then=Left(_DATE, len("2000-01-01"))),
        default=Replace(Left(_DATE, len("2000-01-01 12:00")), Value(" "), Value("T")),
    ),
    "out_path_local": "out_log",
    "err_path_local": "err_log",
    "out_path_remote": "out_log_remote",
    "err_path_remote": "err_log_remote",
    **TIMES,
    **{name: NullIf(name, Value("")) for name in ("section", "member", "platform", "qos", "processors", "wallclock")},
}
PLANNED_NAMES = "planned"
VIEWS = {
    "quick": ("name", "status"),
    "base": (
        *("name", "status", "priority", "section", "date", "member", "chunk", "split", "splits"),
        *("out_path_local", "err_path_local", "out_path_remote", "err_path_remote"),
    ),
}


class JobViewSet(ExperimentPages, MirroredViewSet, RevalidatedViewSet):
    """The jobs of an experiment."""

    tag = "Jobs"
    lookup_url_kwarg = "job"
    lookup_value_converter = "job"
    items = ("jobs", "name")

    def list_links(self, data: Any) -> dict[str, str]:
        """Return what belongs to a job."""
        routes = {"Logs": "job-log-list", "Notes": "job-note-list"} if self.detail else {}
        return super().list_links(data) | {title: self.get_address(route) for title, route in routes.items()}

    def list_row_links(self, data: Any) -> tuple[str, Iterator[str]]:
        """Return what names each job of a list, also of parents or children, and their addresses."""
        if not self.detail:
            return super().list_row_links(data)
        rows = [row for name in ("parents", "children") for row in data.get(name) or ()]
        return "job_name", (self.get_row_address(row["job_name"], row) for row in rows)

    @operation(
        "list_jobs",
        "List the jobs of an experiment",
        {200: answer(JobList, "Jobs by name.")},
        parameters=[JobsQuery, *CONDITIONAL],
    )
    def list(self, request: Request, expid: str) -> Response:
        """List the jobs of an experiment by name: all at once, or in pages if page_size is given.

        While the job list cannot be read, these are the jobs that were read last, and `stale_since` says so.
        """
        query = JobsQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"), showing=Job)
        self.revalidate(request, experiment)
        found = Job.objects.filter(make_condition(query), experiment=experiment)
        names = query.get("fields", VIEWS[query["view"]])
        wanted = _add_columns_of_plans(names)
        page, total = _read_page(request, found, query, wanted)
        items = _write_items(wanted, page.rows)
        if wanted != names:
            items = [_plan(item, experiment.plans, names) for item in items]
        stale = {"stale_since": write_instant(self.stale_since)} if self.stale_since else {}
        return Response({"jobs": items, "pagination": make_page_info(query, page, total), **stale})

    @change(
        "set_status_of_jobs",
        "Set the status of many jobs",
        kinds=[SET_STATUS, SET_STATUS_LIVE],
        query=SetStatusQuery,
        parameters=[make_option_parameter(SET_STATUS, "status")],
        in_address=["status"],
    )
    def partial_bulk_update(self, request: Request, expid: str) -> Response:
        """Set the status of jobs, chosen by name (`jobs`) or by filters, which then all hold.

        While the experiment runs this is refused, unless `live` has the run itself do it.
        """
        query = SetStatusQuery.read(request)
        experiment = find_experiment_to_change(request, _choose_kind(query), expid, query.get("site"))
        return _set_status(request, experiment, query, {})

    @operation("get_job", "Show a job", {200: answer(JobDetail, "The job.")}, parameters=[JobQuery, *CONDITIONAL])
    def retrieve(self, request: Request, expid: str, job: str) -> Response:
        """Show one job, with the times of its newest attempt and where the logs of that are.

        A job that waits, for the first time or again, has none of that; the logs of earlier attempts are in the list
        of its logs.
        """
        query = JobQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"), showing=Job)
        shown = _write_detail(experiment, find_job(experiment, job))
        return Response(select(shown, query.get("fields")))

    @change(
        "set_status_of_job",
        "Set the status of a job",
        kinds=[SET_STATUS, SET_STATUS_LIVE],
        query=SetStatusQuery,
        parameters=[make_option_parameter(SET_STATUS, "status")],
        in_address=["status", *WAYS],
    )
    def partial_update(self, request: Request, expid: str, job: str) -> Response:
        """Set the status of one job. While the experiment runs this is refused, unless `live` has the run do it."""
        query = SetStatusQuery.read(request)
        experiment = find_experiment_to_change(request, _choose_kind(query), expid, query.get("site"))
        return _set_status(request, experiment, query, {"jobs": [find_job(experiment, job).name]})

    @operation(
        "list_parents",
        "List the parents of a job",
        {200: answer(Parents, "The jobs that it waits for, by name.", parents=[{"job_name": SIM}])},
        parameters=[RelativesQuery, *CONDITIONAL],
    )
    @action(detail=True)
    def parents(self, request: Request, expid: str, job: str) -> Response:
        """List the jobs that this one waits for."""
        return self._list_relatives(request, expid, job, "child_edges__child", "parents")

    @operation(
        "list_children",
        "List the children of a job",
        {200: answer(Children, "The jobs that wait for it, by name.")},
        parameters=[RelativesQuery, *CONDITIONAL],
    )
    @action(detail=True)
    def children(self, request: Request, expid: str, job: str) -> Response:
        """List the jobs that wait for this one."""
        return self._list_relatives(request, expid, job, "parent_edges__parent", "children")

    @operation(
        "explain_failure",
        "Explain why a job failed",
        {200: answer(Failure, "What its logs tell, the nearest to the end first; empty for one that has not failed.")},
        parameters=[SiteQuery],
        errors=[503],
    )
    @action(detail=True, name="Why it failed")
    def failure(self, request: Request, expid: str, job: str) -> Response:
        """Tell why a failed job failed, by texts in the logs of its newest attempt that are known to have a meaning.

        An institution adds texts of its own. Read the log too: what is not known is not told.
        """
        query = SiteQuery.read(request)
        experiment = find_experiment(request, expid, query.get("site"), showing=Job)
        told = explain(experiment, find_job(experiment, job))
        reasons = [_write_reason(explanation) for explanation in told.explanations]
        return Response({"reasons": reasons, "exit_code": told.exit_code})

    def _list_relatives(self, request: Request, expid: str, name: str, edge: str, title: str) -> Response:
        """Answer the jobs at the other ends of the edges of a job, by name; null where they are not known."""
        query = RelativesQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"), showing=Job)
        self.revalidate(request, experiment)
        others = Job.objects.filter(**{edge: find_job(experiment, name)}).order_by("name")
        found = others.values_list("name", "status")
        names = ("job_name", "status") if query["include_status"] else ("job_name",)
        jobs = [dict(zip(names, row, strict=False)) for row in found]
        note = {"note": experiment.edges_note} if experiment.edges_note else {}
        return Response({title: jobs if experiment.are_edges_known else None, **note})


def _write_reason(explanation: Explanation) -> dict[str, str]:
    reason, line = explanation.finding.reason, explanation.finding.line
    names = ("name", "title", "meaning", "advice")
    return {**{name: getattr(reason, name) for name in names}, "line": line, "log": explanation.log}


def _choose_kind(query: Mapping[str, Any]) -> ActionKind:
    return SET_STATUS_LIVE if query["live"] else SET_STATUS


def _set_status(
    request: Request, experiment: Experiment, query: Mapping[str, Any], given: Mapping[str, Any]
) -> Response:
    status = {"status": query["status"]} if "status" in query else {}
    given = {**given, **status}
    return submit(request, _choose_kind(query), experiment.site, experiment, query=query, given=given)


def _read_page(
    request: Request, found: QuerySet[Job], query: Mapping[str, Any], names: Sequence[str]
) -> tuple[Page, int]:
    """Return the rows of a page, or all, as tuples that begin with what `names` asks for, and how many there are."""
    order = choose_order(query)
    columns = [COLUMNS.get(name, name) for name in names]
    if "page_size" not in query:
        everything = list(found.order_by(*order.make_expressions()).values_list(*columns))
        return Page(everything, None, None), len(everything)
    rows = found.values_list(*columns, *order.columns)
    page = read_page(request, rows, order, query, position=lambda row: row[len(names) :])
    return page, found.count()


def _write_items(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return jobs as JobItem describes them, without an object or a serializer for each."""
    items = list(map(dict, map(zip, repeat(names), rows)))
    for name in TIMES.keys() & names:
        for item in items:
            item[name] = write_instant(item[name])
    return items


def _add_columns_of_plans(names: Sequence[str]) -> Sequence[str]:
    """Return the names of fields, and those of which the planned ones among them are made."""
    if not {PLANNED_NAMES, *PLANNED} & {*names}:
        return names
    planned = PLANNED if PLANNED_NAMES in names else ()
    return [*dict.fromkeys(name for name in (*names, "status", "section", *planned) if name != PLANNED_NAMES)]


def _plan(item: dict[str, Any], plans: Plans, names: Sequence[str]) -> dict[str, Any]:
    """Return a job of a list with what is planned for it, and of it what `names` asks for."""
    values = {name: item[name] for name in PLANNED if name in item}
    filled, planned = add_plan(item["status"], item["section"], values, plans)
    known = item | filled | {PLANNED_NAMES: planned}
    return {name: known[name] for name in names}


def _write_detail(experiment: Experiment, job: Job) -> dict[str, Any]:
    """Return a job as JobDetail describes it."""
    run = Run.objects.filter(experiment=experiment).order_by("-run_id").first()
    filled, planned = apply_plan(experiment, job)
    processors = filled["processors"] or ""
    return {
        "name": job.name,
        "status": job.status,
        "section": job.section or None,
        "date": format_start_date(job.date, job.name) if job.date else None,
        "member": job.member or None,
        "chunk": job.chunk,
        "split": job.split,
        "splits": job.splits,
        **_find_log_paths(experiment, job),
        "chunk_size": run.chunk_size or None if run else None,
        "chunk_unit": run.chunk_unit or None if run else None,
        "platform": filled["platform"],
        "remote_id": job.remote_id,
        "qos": filled["qos"],
        "workflow_commit": job.workflow_commit or None,
        "processors": int(processors) if processors.isdecimal() else None,
        **{name: write_instant(getattr(job, column)) for name, column in TIMES.items()},
        "wallclock": filled["wallclock"],
        PLANNED_NAMES: planned,
        "last_wrapper": job.wrapper or None,
        "site": experiment.site.slug,
        "expid": experiment.expid,
        "priority": job.priority,
        "fail_count": job.fail_count,
    }


def _find_log_paths(experiment: Experiment, job: Job) -> dict[str, str | None]:
    """Return where the logs of the attempt are; only their names while nobody can look."""
    names = {"out_path_local": job.out_log, "err_path_local": job.err_log}
    if not any(names.values()):
        return dict.fromkeys(names)
    try:
        found = Logs(experiment, job).find_paths()
    except (BrokenStore, Missing, Unreadable):
        return {key: name or None for key, name in names.items()}
    return {key: found.get(name) for key, name in names.items()}
