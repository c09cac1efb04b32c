"""The list of jobs, the page of a job with its logs, and requests for many jobs."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console import stamps
from autosubmit_portal.console.addresses import find_job
from autosubmit_portal.console.pages.logs import LogPages
from autosubmit_portal.console.pages.saved_views import SavedViewPages
from autosubmit_portal.console.parts import actions, filters, job_filters, job_list, presentation
from autosubmit_portal.console.parts.attempts import list_attempts
from autosubmit_portal.console.parts.base import ReadOnlyAdmin, parse_number
from autosubmit_portal.console.parts.chosen import get_chosen_experiment
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.csv_lists import Source
from autosubmit_portal.console.parts.experiment_lists import ExperimentLists
from autosubmit_portal.console.parts.notes import make_notes_context
from autosubmit_portal.console.parts.request_pages import FormPage, RequestPages
from autosubmit_portal.console.site import console
from experiments.autosubmit.store import BrokenStore
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.failures import Failure, explain, explain_briefly
from experiments.models import Experiment, annotate_active_action
from experiments.planned import apply_plan
from jobs.autosubmit.statuses import NOT_SENT
from jobs.models import Job
from jobs.pictured import list_blocking_edges
from jobs.pictures.blocked import find_causes
from jobs.trigrams import narrow

MOST_RELATIVES = 100
MOST_CAUSES = 5
SENT_WITH = (
    (gettext_lazy("Platform"), "platform"),
    (gettext_lazy("Queue"), "qos"),
    (gettext_lazy("Processors"), "processors"),
    (gettext_lazy("Wallclock"), "wallclock"),
)


def choose_log(job: Job) -> str:
    """Return the name of the log that is read first: that of errors where the job has failed."""
    return job.err_log if job.status == "FAILED" and job.err_log else job.out_log


def _explain(job: Job) -> dict[str, Any]:
    """Return why a job failed, each with where its log is opened, and its exit code.

    Nothing is known while the site is silent, which the logs say.
    """
    try:
        told = explain(job.experiment, job)
    except BrokenStore:
        told = Failure()
    reasons = [(explanation, f"?{urlencode({'log': explanation.log})}#log") for explanation in told.explanations]
    return {"explanations": reasons, "exit_code": told.exit_code}


@admin.register(Job, site=console)
class JobAdmin(ExperimentLists, SavedViewPages, LogPages, RequestPages, ReadOnlyAdmin):
    """Jobs. The kinds that are done to jobs are entries of the list's menu and buttons of the page."""

    tab, title_of_experiment = "jobs", gettext_lazy("Jobs of {expid}")
    row_part = "<job_key:object_id>"
    request_targets = (Target.JOBS,)
    page_template = "admin/portal/job.html"
    shows_files = True
    live_seconds = 5
    csv_columns = {
        "site": "experiment__site__slug",
        "expid": "experiment__expid",
        "name": "name",
        "status": "status",
        "section": "section",
        "date": "date",
        "member": "member",
        "chunk": "chunk",
        "split": "split",
        "platform": "platform",
        "queue": "qos",
        "remote_id": "remote_id",
        "processors": "processors",
        "wallclock": "wallclock",
        "wrapper": "wrapper",
        "fail_count": "fail_count",
        "submitted_at": "submitted_at",
        "started_at": "started_at",
        "finished_at": "finished_at",
    }
    search_fields = ("name",)
    search_placeholder = gettext_lazy("job name")
    list_display = tuple(column.cell for column in job_list.COLUMNS.values())
    list_select_related = ("experiment__site",)
    list_filter = (
        job_filters.StatusFilter,
        filters.ExperimentFilter,
        job_filters.SectionFilter,
        job_filters.DateFilter,
        job_filters.MemberFilter,
        job_filters.ChunkFilter,
        job_filters.SplitFilter,
        job_filters.PlatformFilter,
        job_filters.WrapperFilter,
        job_filters.FinishedFilter,
        job_list.ColumnsFilter,
    )
    list_per_page = 100

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Find jobs by parts of their name."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        is_plain = not {'"', "'"} & {*search_term}  # quotes hold words together
        return narrow(found, search_term) if is_plain else found, has_duplicates

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the kind of list."""
        return job_list.JobChangeList

    def get_csv_columns(self, request: HttpRequest) -> Mapping[str, Source]:
        """Return the columns that were chosen."""
        return job_list.list_csv_columns(request, self.csv_columns)

    chip = make_field_column(gettext_lazy("Status"), "status", presentation.status_chip)
    start_date = make_column(gettext_lazy("Date"), presentation.show_start_date, "date")
    queue = make_field_column(gettext_lazy("Queue"), "qos")
    remote = make_field_column(gettext_lazy("Id on the platform"), "remote_id", presentation.or_dash)
    failures = make_field_column(gettext_lazy("Failed attempts"), "fail_count")
    submitted = make_column(
        gettext_lazy("Submitted"), lambda job: presentation.when_of(job, "submitted_at"), "submitted_at"
    )
    started = make_column(gettext_lazy("Started"), lambda job: presentation.when_of(job, "started_at"), "started_at")
    finished = make_field_column(gettext_lazy("Finished"), "finished_at", presentation.when)
    waited = make_column(gettext_lazy("Waited"), presentation.waited, job_list.COLUMNS["waited"].order)
    took = make_column(gettext_lazy("Took"), presentation.ran, job_list.COLUMNS["took"].order)

    @admin.display(description=gettext_lazy("Experiment"), ordering="experiment__expid")
    def of_experiment(self, job: Job) -> SafeString:
        """Link to the experiment, and say whether its jobs are stale."""
        link = presentation.link_to_experiment(job.experiment)
        if not job.experiment.problem:
            return link
        return format_html(
            '{} <span class="flag" title="{}">{}</span>',
            link,
            presentation.in_zone(job.experiment.problem),
            gettext("Stale"),
        )

    def get_key(self, obj: Job) -> Job:
        """Its addresses are made of the row."""
        return obj

    def find_row(self, request: HttpRequest, object_id: str) -> Job | None:
        """Return the job that the address calls so."""
        return find_job(self.get_queryset(request), Experiment.objects.visible_to(request.user), object_id)

    def get_log_owner(self, obj: Job) -> tuple[Experiment, Job]:
        """The logs are those of the job."""
        return obj.experiment, obj

    def why_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer why a job failed, in one line: a part of pages that do not wait for its logs."""
        job = self.get_visible_object(request, object_id)
        try:
            failure, problem = explain_briefly(job.experiment, job), ""
        except BrokenStore as error:
            failure, problem = Failure(), presentation.translate(error)
        return TemplateResponse(request, "admin/portal/why.html", {"failure": failure, "problem": problem})

    def get_subject(self, obj: Job) -> actions.Subject:
        """The experiment, with this job chosen."""
        return make_subject([obj])

    def get_other_live_rows(self, request: HttpRequest) -> list[QuerySet[Any]]:
        """Return the experiments whose jobs are stale, and since when those of the chosen one are seen."""
        troubled = Experiment.objects.exclude(problem="").order_by("pk")
        rows: list[QuerySet[Any]] = [troubled.values("pk", "problem")[: self.list_per_page]]
        chosen = get_chosen_experiment(request)
        return [*rows, Experiment.objects.filter(pk=chosen.pk).values("active_since")] if chosen else rows

    def get_live_rows(self, request: HttpRequest, obj: Job) -> stamps.PartRows:
        """Return the rows that the page is made of; those of its relatives change with that of the experiment."""
        return [Job.objects.filter(pk=obj.pk), *stamps.list_rows_about(obj.experiment)]

    def get_page_context(self, request: HttpRequest, obj: Job) -> dict[str, Any]:
        """Return everything about one job."""
        subject = make_subject([obj])
        kinds = actions.list_allowed_kinds(request.user, self.request_targets, subject)
        parents = obj.parent_edges.select_related("parent").order_by("parent__name")
        children = obj.child_edges.select_related("child").order_by("child__name")
        sent_with, planned = apply_plan(obj.experiment, obj)
        logs = self.get_logs_context(request, obj, default=choose_log(obj))
        return {
            "job": obj,
            "sent_with": [(title, sent_with[name], name in planned) for title, name in SENT_WITH],
            "took": presentation.ran(obj),
            **_explain(obj),
            "buttons": actions.make_buttons(request, subject, kinds, self.request_route, obj),
            "parents": [of(obj.experiment, edge.parent) for edge in parents[: MOST_RELATIVES + 1]],
            "children": [of(obj.experiment, edge.child) for edge in children[: MOST_RELATIVES + 1]],
            "most_relatives": MOST_RELATIVES,
            "blocked": find_obstacles(obj),
            "logs": logs,
            "attempts": list_attempts(obj, logs.get("files", [])),
            **make_notes_context(request, obj.experiment, obj.name),
        }

    def get_urls(self) -> list[URLPattern]:
        """Add the form page of many jobs."""
        view = self.admin_site.admin_view
        return [
            path("request/<str:name>/", view(self.bulk_view), name="jobs_job_bulk"),
            path("request/<str:name>/preview/", view(require_POST(self.bulk_preview_view))),
            path("request/<str:name>/form/", view(require_POST(self.bulk_form_view)), name="jobs_job_bulk_form"),
            self.make_row_url("why", self.why_view),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list of all jobs; that of one experiment has an address of its own."""
        if request.method == "GET" and (told := job_filters.tell_zone_of_moment(request)):
            return HttpResponseRedirect(f"{request.path}?{told}")
        return super().changelist_view(request, extra_context)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns that the address asks for."""
        return [job_list.COLUMNS[name].cell for name in job_list.read_columns(request)]

    # --- Many jobs

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Return one entry per kind that the user may request of jobs; `action_location` is given by Django 6.1."""
        if action_location and action_location.name == "CHANGE_FORM":
            return {}  # the page of a job has buttons
        kinds = actions.list_allowed_kinds(request.user, self.request_targets)
        return {kind.name: (make_menu_entry(kind), kind.name, f"{gettext(kind.title)}…") for kind in kinds}

    def bulk_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Take the form of many jobs; it is opened from the list of jobs."""
        if request.method != "POST":
            return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))
        return self.read_posted_page(request, name).submit(request)

    def bulk_form_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show the form of many jobs that a picture has chosen."""
        page = self.read_posted_page(request, name)
        if not policy.may_request(request.user, page.kind):
            raise PermissionDenied
        return page.show(request, page.make_bound_form(request, is_filled=False))

    def bulk_preview_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Answer the exact commands for what the form says now."""
        return self.read_posted_page(request, name).preview(request)

    def read_posted_page(self, request: HttpRequest, name: str) -> FormPage:
        """Return the form page for what its own hidden fields say."""
        said = request.POST
        return self.make_bulk_page(request, name, said.get("selection", ""), said.get("filters", ""))

    def make_bulk_page(self, request: HttpRequest, name: str, selection: str, filters: str) -> FormPage:
        """Return the form page for the jobs whose keys are in `selection`, a comma list.

        `filters` is the query of the list that they were chosen from.
        """
        kind = CATALOGUE.get(name)
        if kind is None or kind.target not in self.request_targets:
            raise Http404(gettext("There is no action “{name}” here.").format(name=name))
        if not self.has_view_permission(request):
            raise PermissionDenied
        keys = [key for key in map(parse_number, selection.split(",")) if key is not None]
        jobs = self.get_queryset(request).in_bulk(keys).values()
        if not jobs:
            raise Http404(gettext("The chosen jobs do not exist any more."))
        return FormPage(
            kind=kind,
            subjects=make_subjects(jobs),
            address=reverse("admin:jobs_job_bulk", args=[name]),
            back=f"{reverse('admin:jobs_job_changelist')}?{QueryDict(filters).urlencode()}".removesuffix("?"),
            filters=filters,
            frame={**self.admin_site.each_context(request), "opts": self.opts},
            selection=",".join(str(key) for key in keys),
        )


def of(experiment: Experiment, job: Job) -> Job:
    """Return a job of the experiment, which then is loaded with it."""
    job.experiment = experiment
    return job


def find_obstacles(job: Job) -> dict[str, Any]:
    """Return what holds a job up that was not sent, what failed first: some jobs with how many jobs each is back.

    `more` is how many others there are.
    """
    if job.status not in NOT_SENT:
        return {"causes": [], "more": 0}
    causes = find_causes(job.pk, *list_blocking_edges(job.pk))
    # With the job itself, so that it takes as many queries when nothing holds it up.
    jobs = Job.objects.in_bulk([job.pk, *(cause.job for cause in causes[:MOST_CAUSES])])
    shown = [(of(job.experiment, jobs[cause.job]), cause.steps) for cause in causes[:MOST_CAUSES] if cause.job in jobs]
    return {"causes": shown, "more": len(causes) - len(shown)}


def make_menu_entry(kind: ActionKind) -> Callable[..., HttpResponse | None]:
    """Return the entry of the list's menu that opens the form page of `kind` for the chosen jobs."""

    def open_form(model_admin: JobAdmin, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        if not policy.may_request(request.user, kind):
            raise PermissionDenied
        keys = ",".join(str(pk) for pk in queryset.order_by().values_list("pk", flat=True))
        if not keys:
            messages.warning(request, gettext("The chosen jobs do not exist any more."))
            return None
        query, experiment = request.GET.copy(), get_chosen_experiment(request)
        if experiment:
            query["experiment"] = str(experiment.pk)
        page = model_admin.make_bulk_page(request, kind.name, keys, query.urlencode())
        return page.show(request, page.make_bound_form(request, is_filled=False))

    return open_form


def make_subject(jobs: Sequence[Job]) -> actions.Subject:
    """Return the subject of a request: the experiment of `jobs`, with exactly these jobs chosen."""
    experiment = annotate_active_action().select_related("site").get(pk=jobs[0].experiment_id)
    return actions.Subject(site=experiment.site, experiment=experiment, fixed={"jobs": [job.name for job in jobs]})


def make_subjects(jobs: Any) -> list[actions.Subject]:
    """Return one subject per experiment, in the order of the expids."""
    by_experiment: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        by_experiment[job.experiment_id].append(job)
    return sorted((make_subject(group) for group in by_experiment.values()), key=str)
