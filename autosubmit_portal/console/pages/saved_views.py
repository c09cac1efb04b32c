"""The views of the list of jobs that people give a name: kept, offered above the filters, and removed."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from autosubmit_portal.audit.origin import get_actor
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.chosen import get_chosen_experiment
from experiments.models import Experiment
from jobs.models import SavedView
from jobs.models.saved_view import LONGEST_NAME, LONGEST_QUERY

MOST = 30
"""A person has at most so many."""

# What an address says besides what it chooses.
_LEFT_OUT = {"p", "e", "format", "all"}


class ViewForm(forms.Form):
    """A name for what an address chooses."""

    name = forms.CharField(max_length=LONGEST_NAME)
    query = forms.CharField(max_length=LONGEST_QUERY)
    experiment = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    is_general = forms.BooleanField(required=False)


class SavedViewPages(ReadOnlyAdmin):
    """Gives the admin of jobs the addresses that keep a view and remove one."""

    def get_urls(self) -> list[URLPattern]:
        """Add both."""
        view = self.admin_site.admin_view
        return [
            path("views/", view(require_POST(self.keep_view)), name=self.get_route("views")),
            path(
                "views/<int:view_id>/remove/", view(require_POST(self.remove_view)), name=self.get_route("view_remove")
            ),
            *super().get_urls(),
        ]

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the views of whoever asks, each with its address and whether it is shown, and what can be kept."""
        here = read_query(request.GET.urlencode())
        return {
            **super().get_list_context(request),
            "views": [(one, f"?{one.query}", one.query == here) for one in list_views(request)],
            "view_query": here,
        }

    def keep_view(self, request: HttpRequest) -> HttpResponseRedirect:
        """Keep what an address chooses under a name, in place of a view that is called so; go back there."""
        form = ViewForm(request.POST)
        if not form.is_valid():
            for name, texts in form.errors.items():
                messages.error(request, f"{name.capitalize()}: {' '.join(map(str, texts))}")
            return HttpResponseRedirect(self.get_address("changelist"))
        given, experiment = form.cleaned_data, find_experiment(request, form.cleaned_data["experiment"])
        query = read_query(given["query"])
        about = None if given["is_general"] else experiment
        keep(request, given["name"], query, about)
        address = reverse("admin:jobs_job_of_experiment", args=[experiment]) if experiment else ""
        return HttpResponseRedirect(f"{address or self.get_address('changelist')}?{query}")

    def remove_view(self, request: HttpRequest, view_id: int) -> HttpResponseRedirect:
        """Remove a view of whoever asks, and go back."""
        removed, _each = SavedView.objects.filter(pk=view_id, user=get_actor(request)).delete()
        if not removed:
            raise Http404("You have no such view.")
        messages.success(request, _("The view is removed."))
        back = request.POST.get("back", "")
        is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
        return HttpResponseRedirect(back if is_ours else self.get_address("changelist"))


def keep(request: HttpRequest, name: str, query: str, experiment: Experiment | None) -> None:
    """Keep a view, and say so; say why if that is one too many or there is nothing to keep."""
    mine = SavedView.objects.filter(user=get_actor(request))
    is_new = not mine.filter(name=name, experiment=experiment).exists()
    if not query:
        messages.error(request, _("Query: choose filters, columns or an order first. There is nothing to keep."))
    elif is_new and mine.count() >= MOST:
        messages.error(request, _("You have %(most)s views. Remove one first.") % {"most": MOST})
    else:
        SavedView.objects.update_or_create(
            user=get_actor(request), name=name, experiment=experiment, defaults={"query": query}
        )
        messages.success(request, _("The view “%(name)s” is kept.") % {"name": name})


def find_experiment(request: HttpRequest, pk: int | None) -> Experiment | None:
    """Return a visible experiment; None if none is asked for. Raises Http404."""
    if pk is None:
        return None
    found = Experiment.objects.visible_to(request.user).select_related("site").filter(pk=pk).first()
    if found is None:
        raise Http404("There is no such experiment.")
    return found


def list_views(request: HttpRequest) -> list[SavedView]:
    """Return the views of whoever asks that can be shown here: those of any experiment, and of this one. One query."""
    mine = SavedView.objects.filter(user=get_actor(request))
    experiment = get_chosen_experiment(request)
    here = mine.filter(experiment=None) | mine.filter(experiment=experiment)
    return list(here.order_by("name", "pk"))


def read_query(text: str) -> str:
    """Return what a query chooses, each parameter once: several values are joined by commas, in the order of names."""
    given = QueryDict(text, mutable=True)
    chosen = QueryDict(mutable=True)
    for name in sorted(given.keys() - _LEFT_OUT):
        if values := [value for value in given.getlist(name) if value]:
            chosen[name] = ",".join(values)
    return chosen.urlencode(safe=",")
