"""Lists of which those of one experiment are a tab of its pages: its jobs, its runs."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext

from autosubmit_portal.console.addresses import find_experiment
from autosubmit_portal.console.parts import filters
from autosubmit_portal.console.parts.base import ConsoleAdmin, parse_number
from autosubmit_portal.console.parts.chosen import choose_experiment, get_chosen_experiment
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.text import Text
from experiments.models import Experiment, annotate_active_action


class ExperimentLists(ConsoleAdmin):
    """Gives a list the page `/experiments/<id>/<tab>/`; `title_of_experiment` is its title, with `{expid}`."""

    tab = ""
    title_of_experiment: Text = ""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        view = self.admin_site.admin_view(self.of_experiment_view)
        page = path(f"<experiment_key:object_id>/{self.tab}/", view, name=self.get_route("of_experiment"))
        return [page, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list of all rows; that of one experiment has an address of its own."""
        query = request.GET.copy()
        number = parse_number("".join(query.pop("experiment", [])))
        if number is None or request.method == "POST" or get_chosen_experiment(request):
            return super().changelist_view(request, extra_context)
        experiment = find_experiment(Experiment.objects.visible_to(request.user), f"~{number}")
        if experiment is None:
            return super().changelist_view(request, extra_context)
        address = self.get_address("of_experiment", experiment)
        return HttpResponseRedirect(f"{address}?{query.urlencode()}".removesuffix("?"))

    def of_experiment_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the list of an experiment."""
        visible = annotate_active_action(Experiment.objects.visible_to(request.user)).select_related("site")
        experiment = find_experiment(visible, object_id)
        if experiment is None:
            raise Http404(gettext("There is no such experiment."))
        choose_experiment(request, experiment)
        title = str(self.title_of_experiment).format(expid=experiment.expid)
        return self.changelist_view(request, {**make_head_context(request, experiment, self.tab), "title": title})

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the visible rows, or of them those of the experiment that the list is about."""
        rows = super().get_queryset(request)
        experiment = get_chosen_experiment(request)
        return rows.filter(experiment=experiment) if experiment else rows

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Leave out the choice of an experiment where one is chosen."""
        left_out = {filters.ExperimentFilter} if get_chosen_experiment(request) else set()
        return [one for one in self.list_filter if one not in left_out]
