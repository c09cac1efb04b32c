"""The search from everywhere: its page, what it offers while one types, and the page Admin, which lists all others."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from autosubmit_portal.console import navigation
from autosubmit_portal.console.parts import finder
from autosubmit_portal.console.site import console
from experiments.models import Site


@require_safe
def search_page(request: HttpRequest) -> HttpResponse:
    """Show what `?q=` finds; an expid that means one experiment opens it."""
    text = request.GET.get("q", "")
    named = finder.find_named(request.user, text) if text else None
    if named:
        return HttpResponseRedirect(reverse("admin:experiments_experiment_change", args=[named]))
    context = {"title": gettext("Search"), "text": text, "found": finder.find(request.user, text)}
    return TemplateResponse(request, "admin/portal/search.html", {**console.each_context(request), **context})


@require_safe
def offers_page(request: HttpRequest) -> HttpResponse:
    """Answer the options that the field of the search offers for `?q=`, as a part of a page."""
    found = finder.find(request.user, request.GET.get("q", ""))
    return TemplateResponse(request, "admin/portal/search_offers.html", {"found": found})


@require_safe
def choices_page(request: HttpRequest, site_id: int) -> HttpResponse:
    """Answer the experiments of a site that a field for an expid offers for `?q=`, as a part of a page."""
    site = get_object_or_404(Site.objects.visible_to(request.user), pk=site_id)
    found = finder.find_of_site(request.user, site, request.GET.get("q", ""))
    return TemplateResponse(request, "admin/portal/search_choices.html", {"found": found})


@require_safe
def directory_page(request: HttpRequest) -> HttpResponse:
    """Show where the navigation does not lead, in groups."""
    seen = navigation.filter_seen(request.user, navigation.ALL)
    groups = [(title, [page for page in pages if page in seen]) for title, pages in navigation.GROUPS]
    context = {"title": navigation.ADMIN.name, "groups": [group for group in groups if group[1]]}
    return TemplateResponse(request, "admin/portal/directory.html", {**console.each_context(request), **context})
