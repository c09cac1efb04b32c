"""The runs of experiments, from Autosubmit's own history."""

from typing import Any

from django.contrib import admin
from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.console.parts import filters, presentation
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.chosen import get_chosen_experiment
from autosubmit_portal.console.parts.columns import make_column
from autosubmit_portal.console.parts.experiment_lists import ExperimentLists
from autosubmit_portal.console.site import console
from experiments.models import Run


def get_counts(run: Run) -> dict[str, int]:
    """Return the numbers of a run as counts per status, the rest of its jobs as WAITING."""
    counted = ("completed", "failed", "running", "queuing", "submitted", "suspended")
    counts = {name.upper(): getattr(run, name) for name in counted}
    return counts | {"WAITING": max(0, run.total - sum(counts.values()))}


@admin.register(Run, site=console)
class RunAdmin(ExperimentLists, ReadOnlyAdmin):
    """Runs; each `create` of an experiment begins one."""

    tab, title_of_experiment = "runs", gettext_lazy("Runs of {expid}")
    page_template = "admin/portal/run.html"
    list_display = ("run", "of_experiment", "shares", "completed", "failed", "total", "started", "took")
    csv_columns = {
        "site": "experiment__site__slug",
        "expid": "experiment__expid",
        "run_id": "run_id",
        "started_at": "started_at",
        "finished_at": "finished_at",
        "began_at": "began_at",
        "ended_at": "ended_at",
        "completed": "completed",
        "failed": "failed",
        "running": "running",
        "queuing": "queuing",
        "submitted": "submitted",
        "suspended": "suspended",
        "total": "total",
    }
    list_select_related = ("experiment__site",)
    list_filter = (filters.ExperimentFilter,)
    search_fields = ("experiment__expid",)
    search_placeholder = "expid"
    ordering = (F("started_at").desc(nulls_last=True),)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Leave out the experiment where it is the same for all."""
        is_same_for_all = get_chosen_experiment(request) is not None
        return [name for name in self.list_display if name != "of_experiment" or not is_same_for_all]

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the expid, where there are several."""
        return () if get_chosen_experiment(request) else self.search_fields

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Lead from the runs of an experiment to their comparison."""
        experiment = get_chosen_experiment(request)
        if experiment is None:
            return {}
        return {
            "beside": [(gettext("Compare runs"), reverse("admin:experiments_experiment_compare", args=[experiment]))]
        }

    run = make_column(gettext_lazy("Run"), lambda run: gettext("Run {run_id}").format(run_id=run.run_id), "run_id")
    of_experiment = make_column(
        gettext_lazy("Experiment"), lambda run: presentation.link_to_experiment(run.experiment), "experiment__expid"
    )
    shares = make_column(gettext_lazy("Jobs"), lambda run: presentation.bar(get_counts(run)))
    started = make_column(gettext_lazy("Started"), lambda run: presentation.when(run.since), "started_at")
    took = make_column(gettext_lazy("Took"), presentation.run_took)

    def get_page_context(self, request: HttpRequest, obj: Run) -> dict[str, Any]:
        """Return the counts and the title."""
        return {
            "run": obj,
            "counts": get_counts(obj),
            "title": gettext("{experiment}, run {run_id}").format(experiment=obj.experiment, run_id=obj.run_id),
        }
