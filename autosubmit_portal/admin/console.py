"""The console: the one admin site of the portal. Only what is registered on it here has pages."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import Resolver404, path, resolve
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from autosubmit_portal.access import policy
from experiments.models import Site

# The order of the navigation; what is not named here comes last.
NAVIGATION = (
    "Experiment",
    "Job",
    "Run",
    "Action",
    "Site",
    "Freeze",
    "AuditEntry",
    "Team",
    "User",
    "Group",
    "ApiToken",
)
# The list of teams leads to these, and the menu of the account to delegations.
OFF_NAVIGATION = ("SiteRole", "SiteAccount", "SitePolicy", "Delegation")


class SignInForm(AuthenticationForm):
    """Name and password of somebody who may see something here; `is_staff` of Django means nothing."""

    def confirm_login_allowed(self, user: User) -> None:
        """Refuse, and record, an account that may see nothing."""
        super().confirm_login_allowed(user)
        if not policy.may_enter(user):
            reason = f"{user} may not see anything here yet. Ask a manager for a group or a team."
            credentials = {"username": user.get_username()}
            user_login_failed.send(__name__, credentials=credentials, request=self.request, reason=reason)
            raise ValidationError(reason, code="nothing_to_see")


class Console(AdminSite):
    """The admin site with the dashboard as its first page."""

    site_title = "Autosubmit Portal"
    site_header = "Autosubmit Portal"
    index_title = "Dashboard"
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "–"
    login_form = SignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Let everybody in who may see something, as the policy says."""
        return policy.may_enter(request.user)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the entries of the navigation that the user may see."""
        context: dict[str, Any] = super().each_context(request)
        models = [
            model for app in context["available_apps"] for model in app["models"] if _is_navigated(model)
        ]
        context["navigation"] = sorted(models, key=_position)
        context["may_see_health"] = policy.may_view_all(request.user, Site)
        return context

    def get_urls(self) -> list[Any]:
        """Add the page of the portal's health."""
        from autosubmit_portal.admin.health import health_page

        return [path("health/", self.admin_view(health_page), name="health"), *super().get_urls()]

    @method_decorator(never_cache)
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard."""
        from autosubmit_portal.admin.dashboard import dashboard

        context = {**self.each_context(request), "title": self.index_title, **dashboard(request.user)}
        return TemplateResponse(request, "admin/portal/dashboard.html", context | (extra_context or {}))

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


def _position(model: dict[str, Any]) -> int:
    name = model["object_name"]
    return NAVIGATION.index(name) if name in NAVIGATION else len(NAVIGATION)


console = Console(name="admin")
