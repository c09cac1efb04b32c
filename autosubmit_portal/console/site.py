"""The console: the one admin site of the portal. Only what is registered on it here has pages."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from itertools import filterfalse
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import Resolver404, path, resolve, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.roles import LIFT_LOCKOUTS
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages import sign_in
from experiments.models import Site

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# The order of the navigation; what is not named here comes last.
NAVIGATION = ("Experiment", "Job", "Run", "Action", "Site", "Freeze", "AuditEntry")
# A menu of their own: nobody needs them on a night shift.
PEOPLE = ("Team", "User", "Group")
# The list of teams leads to the first three, the menu of the account and that of people to the others.
OFF_NAVIGATION = ("SiteRole", "SiteAccount", "SitePolicy", "ApiToken", "Delegation", "FailedSignIn")


class PasswordForm(AdminPasswordChangeForm):
    """A new password for oneself; guessing the old one is counted like guessing at the sign-in."""

    user: User

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        """Return the old password; raise ValidationError when it is wrong, or guessed too often."""
        name, password = self.user.get_username(), self.cleaned_data["old_password"]
        if authenticate(self.request, username=name, password=password) != self.user:
            wrong = ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
            raise sign_in.lockout_error(self.request, name) or wrong
        return str(password)


class Console(AdminSite):
    """The admin site with the dashboard as its first page."""

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
        return stamps.unless_unchanged(super().admin_view(view, cacheable))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the entries of the navigation that the user may see."""
        context: dict[str, Any] = super().each_context(request)
        models = [
            model for app in context["available_apps"] for model in app["models"] if _is_navigated(model)
        ]
        context["navigation"] = sorted(filter(_is_of_the_shift, models), key=_position)
        context["people"] = sorted(filterfalse(_is_of_the_shift, models), key=_position)
        context["may_lift_lockouts"] = request.user.has_perm(f"axes.{LIFT_LOCKOUTS}")
        context["may_see_health"] = policy.may_view_all(request.user, Site)
        return context

    def get_urls(self) -> list[Any]:
        """Add the page of the portal's health, and single sign-on."""
        from autosubmit_portal.console.pages.health import health_page

        return [
            path("health/", self.admin_view(health_page), name="health"),
            path("login/sso/", sign_in.begin, name="single_sign_on"),
            path("login/sso/callback/", sign_in.callback, name="single_sign_on_callback"),
            *super().get_urls(),
        ]

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show and take the form for name and password, and offer single sign-on where there is one."""
        if request.method == "POST" and not settings.PASSWORD_LOGIN:
            raise PermissionDenied
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {
            **self.each_context(request),
            "title": "Sign in",
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            "single_sign_on": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
            "password_login": settings.PASSWORD_LOGIN,
        }
        view = sign_in.SignInView.as_view(extra_context=context | (extra_context or {}))
        return cast("HttpResponse", view(request))

    def sign_in_page(self, request: HttpRequest, *, refusal: str, status: int) -> HttpResponse:
        """Show the sign-in page with why single sign-on failed; the dashboard to whoever is signed in."""
        index = reverse("admin:index")
        address = f"{reverse('admin:login')}?{urlencode({'next': index})}"
        page = self.login(request, {"refusal": refusal, "app_path": address, "next": index})
        if page.status_code == HTTPStatus.OK:
            page.status_code = status
        return page

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show and take the form for a new password."""
        view = PasswordChangeView.as_view(
            form_class=partial(PasswordForm, request),
            success_url=reverse("admin:password_change_done"),
            extra_context=self.each_context(request) | (extra_context or {}),
            template_name="registration/password_change_form.html",
        )
        return cast("TemplateResponse", view(request))

    @method_decorator(never_cache)
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard."""
        from autosubmit_portal.console.pages.dashboard import besides, dashboard, shown

        stamps.begin(request, shown(request.user), besides(request.user))
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


def _is_of_the_shift(model: dict[str, Any]) -> bool:
    return model["object_name"] not in PEOPLE


def _position(model: dict[str, Any]) -> int:
    name, order = model["object_name"], NAVIGATION + PEOPLE
    return order.index(name) if name in order else len(order)


console = Console(name="admin")
