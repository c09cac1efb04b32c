"""The console: the one admin site of the portal. Only what is registered on it here has pages."""

from collections.abc import Callable
from itertools import filterfalse
from typing import Any, TypeVar

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import Resolver404, resolve

from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import LIFT_LOCKOUTS
from autosubmit_portal.console import stamps
from experiments.models import Site

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# The order of the navigation; what is not named here comes last.
NAVIGATION = ("Experiment", "Job", "Run", "Action", "Site", "Freeze", "AuditEntry")
# A menu of their own: nobody needs them on a night shift.
PEOPLE = ("Team", "User", "Group")
# The list of teams leads to the first three, the menu of the account and that of people to the others.
OFF_NAVIGATION = ("SiteRole", "SiteAccount", "SitePolicy", "ApiToken", "Delegation", "FailedSignIn")


class Console(AdminSite):
    """The admin site. It knows none of its pages: those of models are registered on it, `urls.py` names the others."""

    site_title = "Autosubmit Portal"
    site_header = "Autosubmit Portal"
    index_title = "Dashboard"
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "–"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let everybody in who may see something, as the policy says."""
        return policy.may_enter(request.user)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Have every page answer at once to a tab that shows already what it would get."""
        return stamps.answer_if_changed(super().admin_view(view, cacheable))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the entries of the navigation that the user may see."""
        context: dict[str, Any] = super().each_context(request)
        models = [
            model for app in context["available_apps"] for model in app["models"] if _is_navigated(model)
        ]
        context["navigation"] = sorted(filter(_is_of_the_shift, models), key=_get_position)
        context["people"] = sorted(filterfalse(_is_of_the_shift, models), key=_get_position)
        context["may_lift_lockouts"] = request.user.has_perm(f"axes.{LIFT_LOCKOUTS}")
        context["may_see_health"] = policy.may_view_all(request.user, Site)
        return context

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


def _is_navigated(model: dict[str, Any]) -> bool:
    return bool(model["admin_url"]) and model["object_name"] not in OFF_NAVIGATION


def _is_of_the_shift(model: dict[str, Any]) -> bool:
    return model["object_name"] not in PEOPLE


def _get_position(model: dict[str, Any]) -> int:
    name, order = model["object_name"], NAVIGATION + PEOPLE
    return order.index(name) if name in order else len(order)


console = Console(name="admin")
