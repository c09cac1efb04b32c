"""The console: the one admin site of the portal. Only what is registered on it here has pages."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.admin import AdminSite
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import Resolver404, resolve, reverse
from django.utils.text import capfirst

from autosubmit_portal.access.models import Team
from autosubmit_portal.access.rights import policy, teams
from autosubmit_portal.access.roles import LIFT_LOCKOUTS
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console import stamps
from experiments.models import Action, Experiment, Freeze, Run, Site
from jobs.models import Job

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# The lists that the navigation leads to. Other pages lead to the others.
NAVIGATION: tuple[type[Model], ...] = (Experiment, Job, Run, Action, Site, Freeze, AuditEntry)
# A menu of their own: nobody needs them on a night shift.
PEOPLE: tuple[type[Model], ...] = (Team, User, Group)


class Console(AdminSite):
    """The admin site. It knows none of its pages: those of models are registered on it, `urls.py` names the others."""

    site_title = "Autosubmit Portal"
    site_header = "Autosubmit Portal"
    index_title = "Now"
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "–"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let everybody in who may see something, as the policy says."""
        return policy.may_enter(request.user)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Have every page answer at once to a tab that shows already what it would get."""
        return stamps.answer_if_changed(super().admin_view(view, cacheable))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """List the models of an app for its own page; no other page shows what Django would ask each admin for."""
        return super().get_app_list(request, app_label) if app_label else []

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the entries of the navigation that the user may see."""
        shown, current = list_shown(request.user), find_current(request)
        return {
            **super().each_context(request),
            "navigation": [make_link(model, current) for model in NAVIGATION if model in shown],
            "people": [make_link(model, current) for model in PEOPLE if model in shown],
            "may_lift_lockouts": request.user.has_perm(f"axes.{LIFT_LOCKOUTS}"),
            "may_see_health": policy.may_view_all(request.user, Site),
        }

    def catch_all_view(self, request: HttpRequest, url: str) -> HttpResponse:
        """Send an address that lacks its final slash to the right one; everything else is not found."""
        if request.method == "GET" and not url.endswith("/"):
            try:
                match = resolve(f"{request.path_info}/")
            except Resolver404 as error:
                raise Http404 from error
            if match.func.__name__ != "catch_all_view":
                return HttpResponseRedirect(request.get_full_path(force_append_slash=True))
        raise Http404


def list_shown(actor: policy.Actor) -> set[type[Model]]:
    """Return the models whose lists the actor may see: those whose admins would say so, asked for together."""
    models = NAVIGATION + PEOPLE
    shown = policy.list_browsable(actor, models)
    # Whoever may see sites may see when they are frozen.
    otherwise = {Freeze: Site in shown, Team: teams.may_see_some(actor)}
    return {model for model in models if otherwise.get(model, model in shown)}


def find_current(request: HttpRequest) -> str:
    """Return the part of the console that a page belongs to, such as `experiments_experiment`; blank for none.

    What is asked of a site is to create an experiment.
    """
    name = (request.resolver_match and request.resolver_match.url_name) or ""
    return get_part(Experiment) if name == "experiments_site_request" else "_".join(name.split("_")[:2])


def get_part(model: type[Model]) -> str:
    """Return what the names of the addresses of a model begin with."""
    return f"{model._meta.app_label}_{model._meta.model_name}"


def make_link(model: type[Model], current: str) -> dict[str, Any]:
    """Return name and address of the list of a model, and whether the page is of that `current` part."""
    part = get_part(model)
    address = reverse(f"admin:{part}_changelist")
    return {"name": capfirst(str(model._meta.verbose_name_plural)), "admin_url": address, "is_current": part == current}


console = Console(name="admin")
