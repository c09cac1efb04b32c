"""The pages with the pictures of an experiment: grid, graph and timeline, each with a table of the same jobs beside it.

The script of the page asks for the picture as JSON and draws it. What is not compressed elsewhere, for fear of BREACH,
is compressed here: a picture holds nothing that a request says, it only chooses jobs by it.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from cachetools import LRUCache
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Min, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal import __version__
from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts import actions, picture_filters, presentation
from autosubmit_portal.console.parts.base import ReadOnlyAdmin, parse_number
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.parts.section_graph import draw_sections
from experiments.catalogue.kinds import Target
from experiments.models import Experiment, annotate_active_action
from experiments.seen_times import add_seen, read_seen
from jobs import pictured
from jobs.autosubmit.statuses import ACTIVE
from jobs.models import Job
from jobs.pictures.blocked import find_causes
from jobs.pictures.encoding import encode_picture
from jobs.pictures.graph import lay_out_lanes, lay_out_levels
from jobs.pictures.grid import lay_out_grid
from jobs.pictures.picture import LETTERS, Edge, Picture, PicturedJob
from jobs.pictures.timeline import PicturedRun, PicturedWrapper, lay_out_timeline

ROWS = 50
MOST_STEPS = 8
USUAL_STEPS = 2
LIVE_SECONDS = 4
MOST_BYTES_KEPT = 32 * 1024 * 1024  # in each web process
GZIP_LEVEL = 4
# The mirror writes jobs and dependencies in one transaction with these columns of their experiment, or has seen more.
MARKS = (
    *("id", "refreshed_at", "changed_at", "status_counts", "total_jobs", "are_edges_known", "is_running"),
    "active_since",
)

kept_pictures: LRUCache[str, bytes] = LRUCache(MOST_BYTES_KEPT, getsizeof=len)
_lock = Lock()


def draw_grid(request: HttpRequest, experiment: Experiment) -> Picture:
    """Return the grid of the jobs that the address chooses."""
    return lay_out_grid(add_seen(experiment, pictured.list_pictured(choose_jobs(request, experiment))))


def draw_graph(request: HttpRequest, experiment: Experiment) -> Picture:
    """Return the graph of the jobs that the address chooses: in levels if they are those around one job."""
    near = find_near(request, experiment)
    if near is not None:
        return lay_out_levels(add_seen(experiment, near[0]), near[1])
    jobs = add_seen(experiment, pictured.list_pictured(choose_jobs(request, experiment)))
    return lay_out_lanes(jobs, pictured.list_edges(jobs, experiment.pk))


def draw_timeline(request: HttpRequest, experiment: Experiment) -> Picture:
    """Return the timeline of the jobs that the address chooses."""
    chosen = choose_sent(choose_jobs(request, experiment), experiment)
    return lay_out_timeline(
        add_seen(experiment, pictured.list_pictured(chosen)),
        int(time.time()),
        (gettext("Runs"), list_runs(experiment)),
        (gettext("Wrappers"), list_wrappers(chosen, experiment)),
    )


def list_runs(experiment: Experiment) -> Iterator[PicturedRun]:
    """Yield the runs whose beginning is known; the newest one goes on while the experiment runs."""
    runs = experiment.runs.order_by("run_id")
    newest = runs.last()
    for run in runs:
        if run.since:
            yield PicturedRun(
                gettext("Run {number}").format(number=run.run_id),
                int(run.since.timestamp()),
                int(run.ended_at.timestamp()) if run.ended_at else None,
                experiment.is_running and run == newest,
                reverse("admin:experiments_run_change", args=[run.pk]),
            )


def list_wrappers(jobs: "QuerySet[Job]", experiment: Experiment) -> Iterator[PicturedWrapper]:
    """Yield the wrappers of these jobs; the page of each is the list of its jobs."""
    address = reverse("admin:jobs_job_of_experiment", args=[experiment])
    rows = jobs.exclude(wrapper="").order_by("wrapper").values_list("wrapper", "pk")
    for name, of_wrapper in groupby(rows, key=itemgetter(0)):
        yield PicturedWrapper(name, [pk for _, pk in of_wrapper], f"{address}?{urlencode({'wrapper': name})}")


TITLES = {
    "grid": gettext_lazy("Grid of {expid}"),
    "graph": gettext_lazy("Graph of {expid}"),
    "timeline": gettext_lazy("Timeline of {expid}"),
}
DRAWN: dict[str, Callable[[HttpRequest, Experiment], Picture]] = {
    "grid": draw_grid,
    "graph": draw_graph,
    "timeline": draw_timeline,
}


def choose_jobs(request: HttpRequest, experiment: Experiment) -> "QuerySet[Job]":
    """Return the jobs of an experiment that the address chooses by section, date and member."""
    return picture_filters.apply(request, experiment.jobs.all())


def choose_sent(jobs: "QuerySet[Job]", experiment: Experiment) -> "QuerySet[Job]":
    """Return those of the jobs that were sent to a platform, as it is written or was seen."""
    is_written = Q(submitted_at__isnull=False) | Q(started_at__isnull=False)
    return jobs.filter(is_written | Q(name__in=[*read_seen(experiment)], status__in=ACTIVE))


def find_near(request: HttpRequest, experiment: Experiment) -> tuple[list[PicturedJob], list[Edge]] | None:
    """Return the jobs around the one that the address names, or those that hold it up, and their edges.

    None if it names none. Raises Http404.
    """
    if "blocked" in request.GET:
        job = get_named_job(request, experiment, "blocked")
        causes = find_causes(job.pk, *pictured.list_blocking_edges(job.pk))
        return pictured.list_some([job.pk, *(key for cause in causes for key in cause.path)])
    if "job" in request.GET:
        return pictured.list_surroundings(get_named_job(request, experiment, "job"), read_steps(request))
    return None


def get_named_job(request: HttpRequest, experiment: Experiment, parameter: str) -> Job:
    """Return the job of the experiment whose name or number the address says. Raises Http404."""
    jobs = experiment.jobs.all()
    told = request.GET.get(parameter, "").replace("\0", "")
    job = jobs.filter(name=told).first() or jobs.filter(pk=parse_number(told) or 0).first()
    if job is None:
        raise Http404(gettext("There is no such job in this experiment."))
    return job


def read_steps(request: HttpRequest) -> int:
    """Return how many steps around a job are shown."""
    return max(1, min(parse_number(request.GET.get("steps")) or USUAL_STEPS, MOST_STEPS))


class PicturePages(ReadOnlyAdmin):
    """Gives the admin of experiments the pages `<id>/grid/`, `<id>/graph/` and `<id>/timeline/`."""

    def get_urls(self) -> list[URLPattern]:
        """Add each page, and what its picture is made of."""
        views = (("", "", self.picture_view), ("data/", "_data", self.picture_data_view))
        pages = [
            path(
                f"{self.row_part}/{name}/{rest}",
                self.admin_site.admin_view(view),
                {"picture": name},
                name=self.get_route(f"{name}{end}"),
            )
            for name in DRAWN
            for rest, end, view in views
        ]
        return [*pages, *super().get_urls()]

    def picture_view(self, request: HttpRequest, object_id: int | str, picture: str) -> HttpResponse:
        """Show the page of a picture."""
        experiment = self.get_pictured_experiment(request, object_id)
        stamps.begin_part(request, stamps.list_rows_about(experiment))
        experiment = self.get_pictured_experiment(request, object_id)  # as it is after the stamp
        is_of_sections = picture == "graph" and not {"view", "job", "blocked"} & request.GET.keys()
        make_context = make_sections_context if is_of_sections else make_jobs_context
        context = {
            **make_head_context(request, experiment, picture),
            "title": TITLES[picture].format(expid=experiment.expid),
            "picture": picture,
            "live_seconds": LIVE_SECONDS,
            **make_context(request, experiment, picture),
        }
        return self.render_page(request, "admin/portal/picture.html", experiment, context)

    def picture_data_view(self, request: HttpRequest, object_id: int | str, picture: str) -> HttpResponse:
        """Answer a picture as compressed JSON, or that the browser has it already."""
        experiment = self.get_pictured_experiment(request, object_id)
        validator = make_validator(request, experiment)
        known = get_conditional_response(request, etag=validator)
        return known or answer_data(request, validator, lambda: DRAWN[picture](request, experiment))

    def get_pictured_experiment(self, request: HttpRequest, object_id: int | str) -> Experiment:
        """Return a visible experiment whose jobs the user may see too; 403 or 404 otherwise."""
        experiment: Experiment = self.get_visible_object(request, str(object_id))
        if not Experiment.objects.filter_showing(Job, request.user).filter(pk=experiment.pk).exists():
            raise PermissionDenied
        return experiment


def make_validator(request: HttpRequest, experiment: Experiment) -> str:
    """Return the validator of a picture: it changes with what is mirrored of the experiment."""
    state = [__version__, request.get_full_path(), *(getattr(experiment, mark) for mark in MARKS)]
    return f'W/"{blake2b(repr(state).encode(), digest_size=16).hexdigest()}"'


def answer_data(request: HttpRequest, validator: str, draw: Callable[[], Picture]) -> HttpResponse:
    """Answer a picture, compressed if the browser takes that; it is made once for all who look at the same state."""
    with _lock:
        content = kept_pictures.get(validator)
    if content is None:
        text = json.dumps(encode_picture(draw()), separators=(",", ":"))
        content = gzip.compress(text.encode(), GZIP_LEVEL, mtime=0)
        if len(content) <= MOST_BYTES_KEPT // 4:
            with _lock:
                kept_pictures[validator] = content
    is_taken = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(content if is_taken else gzip.decompress(content), content_type="application/json")
    if is_taken:
        response["Content-Encoding"] = "gzip"
    response["ETag"] = validator
    patch_vary_headers(response, ("Accept-Encoding", "Cookie"))
    return response


def make_sections_context(request: HttpRequest, experiment: Experiment, picture: str) -> dict[str, Any]:
    """Return what the page of the graph shows of the sections."""
    counts = count_sections(experiment)
    edges = pictured.count_section_edges(experiment.pk)
    return {"mode": "sections", "drawing": draw_sections(experiment, counts, edges), "sections": counts.items()}


def count_sections(experiment: Experiment) -> dict[str, dict[str, int]]:
    """Return the number of jobs by section and status, the sections in the order of their first jobs."""
    rows = Job.objects.filter(experiment=experiment).order_by().values_list("section", "status")
    counts: dict[str, dict[str, int]] = {}
    for section, status, number, _ in sorted(rows.annotate(n=Count("pk"), first=Min("pk")), key=lambda row: row[3]):
        counts.setdefault(section, {})[status] = number
    return counts


def make_jobs_context(request: HttpRequest, experiment: Experiment, picture: str) -> dict[str, Any]:
    """Return what a page shows of jobs: which are chosen, a page of their table, and what can be done with them."""
    near = find_near(request, experiment) if picture == "graph" else None
    if near is None:
        jobs, mode, filters = choose_jobs(request, experiment), "jobs", picture_filters.list_menus(request, experiment)
    else:
        jobs, mode, filters = experiment.jobs.filter(pk__in=[job.pk for job in near[0]]), "near", []
    if picture == "timeline":
        jobs = choose_sent(jobs, experiment)
    page = Paginator(jobs.order_by("pk"), ROWS).get_page(request.GET.get("p"))
    query = request.GET.copy()
    query.pop("p", None)
    route = f"admin:experiments_experiment_{picture}_data"
    return {
        "mode": mode,
        "filters": filters,
        "jobs": page,
        "query": query.urlencode(),
        "data": f"{reverse(route, args=[experiment])}?{query.urlencode()}".removesuffix("?"),
        "legend": [(LETTERS[status], status, count) for status, count in presentation.legend(experiment.status_counts)],
        "kinds": list_kinds(request, experiment) if picture == "grid" else [],
        "around": find_around(request, experiment) if near else None,
    }


def find_around(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Return which job the graph is about, and the steps that can be chosen."""
    is_blocked = "blocked" in request.GET
    job = get_named_job(request, experiment, "blocked" if is_blocked else "job")
    return {"job": job, "is_blocked": is_blocked, "steps": read_steps(request), "choices": range(1, MOST_STEPS + 1)}


def list_kinds(request: HttpRequest, experiment: Experiment) -> list[tuple[str, str]]:
    """Return title and form page of what the user may ask for chosen jobs; of two that replace each other, one."""
    known = annotate_active_action().select_related("site").get(pk=experiment.pk)
    subject = actions.Subject(site=known.site, experiment=known)
    kinds = actions.list_allowed_kinds(request.user, (Target.JOBS,), subject)
    buttons = actions.make_buttons(request, subject, kinds, "experiments_experiment_request", known)
    return [
        (gettext(button.kind.title), reverse("admin:jobs_job_bulk_form", args=[button.kind.name])) for button in buttons
    ]
