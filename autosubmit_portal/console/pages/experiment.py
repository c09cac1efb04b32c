"""The list of experiments and the page of one."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console import stamps
from autosubmit_portal.console.addresses import find_experiment
from autosubmit_portal.console.pages.access import AccessPage
from autosubmit_portal.console.pages.activity import ActivityPage
from autosubmit_portal.console.pages.compare import ComparePage
from autosubmit_portal.console.pages.configuration import ConfigurationPage
from autosubmit_portal.console.pages.logs import LogPages
from autosubmit_portal.console.pages.notes import NotePages
from autosubmit_portal.console.pages.performance import PerformancePage
from autosubmit_portal.console.pages.pictures import PicturePages
from autosubmit_portal.console.parts import actions, filters, presentation
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.experiment_head import TARGETS, make_head_context
from autosubmit_portal.console.parts.notes import make_notes_context
from autosubmit_portal.console.parts.progress_line import make_progress
from autosubmit_portal.console.parts.request_pages import RequestPages
from autosubmit_portal.console.site import console
from experiments import programs
from experiments.actions.choose_program import choose_program, may_choose_program
from experiments.audit_visibility import list_entries_about, list_last_words
from experiments.catalogue.kinds import Target
from experiments.models import Action, Experiment, Freeze, Site, annotate_active_action
from jobs.autosubmit.statuses import ACTIVE
from jobs.models import Job

SHOWN_ROWS = 8
NEWEST_ACTIVITY = Coalesce("finished_at", "started_at", "submitted_at")


@admin.register(Experiment, site=console)
class ExperimentAdmin(
    LogPages,
    RequestPages,
    ConfigurationPage,
    PicturePages,
    PerformancePage,
    ComparePage,
    ActivityPage,
    AccessPage,
    NotePages,
):
    """Experiments; what is done to them is asked for by buttons."""

    row_part = "<experiment_key:object_id>"
    request_targets = TARGETS
    page_template = "admin/portal/experiment.html"
    live_seconds = 4
    csv_columns = {
        "site": "site__slug",
        "expid": "expid",
        "description": "description",
        "owner": "owner",
        "hpc": "hpc",
        "version": "version",
        "is_running": "is_running",
        "total_jobs": "total_jobs",
        "failed_jobs": "failed_jobs",
        "status_counts": "status_counts",
        "created_at": "created_at",
        "changed_at": "changed_at",
        "problem": "problem",
        "gone_at": "gone_at",
    }
    search_fields = ("expid", "description", "owner", "recorded_owner")
    search_placeholder = gettext_lazy("expid, description or owner")
    list_filter = (
        filters.AttentionFilter,
        filters.RunningFilter,
        filters.FailedFilter,
        filters.ProblemFilter,
        filters.DisagreementFilter,
        ("site", filters.SiteFilter),
        filters.OwnerFilter,
        filters.HpcFilter,
        filters.GoneFilter,
    )
    ordering = ("-is_running", F("changed_at").desc(nulls_last=True))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Add what the buttons and the lamp need."""
        return annotate_active_action(super().get_queryset(request)).select_related("site")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Name the site only where there are several."""
        columns = ["expid", "state", "progress", "about", "owner", "hpc", "activity"]
        return columns if Site.objects.visible_to(request.user).count() < 2 else [*columns, "site"]

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Offer what can be done to the default site, such as creating an experiment."""
        return {"buttons": make_site_buttons(request, Site.objects.visible_to(request.user).get_default())}

    progress = make_column(gettext_lazy("Progress"), presentation.progress)
    about = make_field_column(gettext_lazy("Description"), "description", presentation.show_excerpt)
    activity = make_column(
        gettext_lazy("Last activity"),
        lambda experiment: presentation.when(experiment.changed_at),
        F("changed_at").asc(nulls_first=True),
    )

    @admin.display(description=gettext_lazy("State"), ordering="is_running")
    def state(self, experiment: Experiment) -> SafeString:
        """Show the lamp, what needs somebody, and whether there is a problem or a contradiction."""
        disagreement = "" if experiment.is_dead else experiment.disagreement
        flags = [
            (title, alarm.sentence) for title, alarm in presentation.list_alarms(experiment) if alarm.rule != "dead"
        ]
        flags += [(gettext("Problem"), experiment.problem), (gettext("Contradictory"), disagreement)]
        shown = ((presentation.in_zone(text), word) for word, text in flags if text)
        marks = format_html_join("", ' <span class="flag" title="{}">{}</span>', shown)
        return format_html("{}{}", presentation.lamp(experiment), marks)

    def get_key(self, obj: Experiment) -> Experiment:
        """Its addresses are made of the row."""
        return obj

    def find_row(self, request: HttpRequest, object_id: str) -> Experiment | None:
        """Return the experiment that the address calls so."""
        return find_experiment(self.get_queryset(request), object_id)

    def get_log_owner(self, obj: Experiment) -> tuple[Experiment, None]:
        """The logs are those of Autosubmit's commands."""
        return obj, None

    def get_subject(self, obj: Experiment) -> actions.Subject:
        """The experiment itself."""
        return actions.Subject(site=obj.site, experiment=obj)

    def get_live_rows(self, request: HttpRequest, obj: Experiment) -> stamps.PartRows:
        """Return the rows that the page is made of."""
        visible = Action.objects.visible_to(request.user).defer_long_fields().filter(experiment=obj)
        return [
            *stamps.list_rows_about(obj),
            visible.order_by("-pk")[:SHOWN_ROWS],
            obj.runs.order_by("-run_id")[:SHOWN_ROWS],
            list_entries_about(request.user, obj).order_by("-pk").values("pk")[:SHOWN_ROWS],
        ]

    def get_urls(self) -> list[URLPattern]:
        """Add the choice of a program, and the logs."""
        return [
            self.make_row_url("program", require_POST(self.program_view)),
            self.make_row_url("logs", require_safe(self.logs_view)),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the overview; logs, which were on it, have a page of their own."""
        if "log" in request.GET:
            experiment = self.get_visible_object(request, str(object_id))
            return HttpResponseRedirect(f"{self.get_address('logs', experiment)}?{request.GET.urlencode()}")
        return super().change_view(request, object_id, *args, **kwargs)

    def logs_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Show the logs of Autosubmit's commands."""
        experiment = self.get_visible_object(request, str(object_id))
        stamps.begin_part(request, stamps.list_rows_about(experiment), shows_files=True)
        experiment = self.get_visible_object(request, str(object_id))  # as it is after the stamp
        context = {
            "title": gettext("Logs of {expid}").format(expid=experiment.expid),
            "logs": self.get_logs_context(request, experiment),
            "live_seconds": self.live_seconds,
            **make_head_context(request, experiment, "logs"),
        }
        return self.render_page(request, "admin/portal/experiment_logs.html", experiment, context)

    def program_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Choose the Autosubmit of the experiment, and go back to its page."""

        def choose(experiment: Experiment) -> str:
            name = request.POST.get("program", "")
            choose_program(experiment, name, actor=get_actor(request), origin=make_origin(request))
            if not name:
                return gettext("The next commands of {experiment} are of the program of its version.").format(
                    experiment=experiment
                )
            said = gettext("The next commands of {experiment} are of the program {name}.")
            return said.format(experiment=experiment, name=name)

        return self.change_row(request, object_id, choose)

    def get_page_context(self, request: HttpRequest, obj: Experiment) -> dict[str, Any]:
        """Return everything about one experiment."""
        known = programs.list_programs(obj.site)
        jobs = obj.jobs.all()
        return {
            "title": obj.expid,
            **make_head_context(request, obj),
            "programs": known,
            "program": programs.choose(obj, known),
            "may_choose_program": bool(known or obj.program) and may_choose_program(obj, request.user),
            "active_actions": list(
                Action.objects.active().defer_long_fields().filter(experiment=obj).select_related("site")
            ),
            "freezes": list(Freeze.objects.current().filter_touching(obj).select_related("site").order_by("starts_at")),
            "matrix": count_matrix(obj),
            "progress": make_progress(jobs, obj.total_jobs),
            "failed_jobs": list(jobs.filter(status="FAILED").order_by("-finished_at", "name")[:SHOWN_ROWS]),
            "recent_jobs": list_recent_jobs(jobs),
            "runs": list(obj.runs.order_by("-run_id")[:SHOWN_ROWS]),
            "actions": list(
                Action.objects.visible_to(request.user)
                .defer_long_fields()
                .filter(experiment=obj)
                .order_by("-pk")[:SHOWN_ROWS]
            ),
            **make_notes_context(request, obj),
            "entries": list_last_words(request.user, lambda: list_entries_about(request.user, obj), SHOWN_ROWS),
        }


def make_site_buttons(request: HttpRequest, site: Site | None) -> list[actions.Button]:
    """Return the buttons of what may be requested of a site."""
    if site is None:
        return []
    subject = actions.Subject(site=site)
    kinds = actions.list_allowed_kinds(request.user, (Target.SITE,), subject)
    return actions.make_buttons(request, subject, kinds, "experiments_site_request", site.pk)


def list_recent_jobs(jobs: QuerySet[Job]) -> list[Job]:
    """Return the jobs that are on a platform, then those that something happened to last, without the failed ones."""
    active = list(jobs.filter(status__in=ACTIVE).order_by(F("started_at").desc(nulls_last=True), "name")[:SHOWN_ROWS])
    ended = jobs.exclude(status__in=("FAILED", *ACTIVE)).annotate(at=NEWEST_ACTIVITY).filter(at__isnull=False)
    return [*active, *ended.order_by("-at", "name")[: SHOWN_ROWS - len(active)]]


def count_matrix(experiment: Experiment) -> dict[str, Any]:
    """Return the number of jobs by section and status, each with the address of the list of those jobs."""
    rows = Job.objects.filter(experiment=experiment).values_list("section", "status").annotate(n=Count("pk"))
    counts: dict[str, dict[str, int]] = {}
    for section, status, number in rows.order_by("section"):
        counts.setdefault(section, {})[status] = number
    present = {status for row in counts.values() for status in row}
    statuses = [status for status in presentation.STATUSES if status in present]
    statuses += sorted(present - set(statuses))
    jobs = reverse("admin:jobs_job_of_experiment", args=[experiment])
    return {
        "statuses": statuses,
        "rows": [(section, row, sum(row.values())) for section, row in counts.items()],
        "jobs": jobs,
    }
