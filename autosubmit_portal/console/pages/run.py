"""The runs of experiments, from Autosubmit's own history."""

from typing import Any

from django.contrib import admin
from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from autosubmit_portal.console.parts import filters, presentation
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.site import console
from experiments.models import Run


def run_counts(run: Run) -> dict[str, int]:
    """Return the numbers of a run as counts per status, the rest of its jobs as WAITING."""
    counts = {
        "COMPLETED": run.completed,
        "FAILED": run.failed,
        "RUNNING": run.running,
        "QUEUING": run.queuing,
        "SUBMITTED": run.submitted,
        "SUSPENDED": run.suspended,
    }
    return counts | {"WAITING": max(0, run.total - sum(counts.values()))}


@admin.register(Run, site=console)
class RunAdmin(ReadOnlyAdmin):
    """Runs; each `create` of an experiment begins one."""

    page_template = "admin/portal/run.html"
    list_display = ("run", "of_experiment", "shares", "completed", "failed", "total", "started", "took")
    list_select_related = ("experiment",)
    list_filter = (filters.ExperimentFilter,)
    search_fields = ("experiment__expid",)
    search_placeholder = "expid"
    ordering = (F("started_at").desc(nulls_last=True),)

    @admin.display(description="Run", ordering="run_id")
    def run(self, run: Run) -> str:
        """Name the run."""
        return f"Run {run.run_id}"

    @admin.display(description="Experiment", ordering="experiment__expid")
    def of_experiment(self, run: Run) -> SafeString:
        """Link to the experiment."""
        address = reverse("admin:experiments_experiment_change", args=[run.experiment_id])
        return format_html('<a href="{}">{}</a>', address, run.experiment)

    @admin.display(description="Jobs")
    def shares(self, run: Run) -> SafeString:
        """Draw the shares of the statuses."""
        return presentation.bar(run_counts(run))

    @admin.display(description="Started", ordering="started_at")
    def started(self, run: Run) -> SafeString:
        """Show when it started."""
        return presentation.when(run.started_at)

    @admin.display(description="Took")
    def took(self, run: Run) -> SafeString | str:
        """Show how long it lasted, if it is over."""
        return (
            presentation.lasting(run.started_at, run.finished_at) if run.finished_at else presentation.NOTHING
        )

    def page_context(self, request: HttpRequest, obj: Run) -> dict[str, Any]:
        """Return the counts and the title."""
        return {"run": obj, "counts": run_counts(obj), "title": f"{obj.experiment}, run {obj.run_id}"}
