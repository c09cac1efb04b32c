"""The console: the one admin site of the portal. Only what is registered on it here has pages."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import Resolver404, resolve
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console import addresses, navigation, stamps

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class Console(AdminSite):
    """The admin site. It knows none of its pages: those of models are registered on it, `urls.py` names the others."""

    site_title = "Autosubmit Portal"
    site_header = "Autosubmit Portal"
    index_title = gettext_lazy("Now")
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "–"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let everybody in who may see something, as the policy says."""
        return policy.may_enter(request.user)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Have every page answer at once to a tab that shows already what it would get."""
        return stamps.answer_if_changed(super().admin_view(view, cacheable))

    def get_urls(self) -> list[Any]:
        """Put the pages of each model where people look for them; addresses of before redirect there."""
        urls = [placed for url in super().get_urls() for placed in addresses.place(url)]
        return [*addresses.list_old(self), *urls]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """List the models of an app for its own page; no other page shows what Django would ask each admin for."""
        return super().get_app_list(request, app_label) if app_label else []

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the entries of the navigation that the user may see, each with whether the page belongs to it."""
        name = (request.resolver_match and request.resolver_match.url_name) or ""
        current = navigation.find_current(name)
        seen = navigation.filter_seen(request.user, navigation.TOP)
        return {**super().each_context(request), "navigation": [(page, page is current) for page in seen]}

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


console = Console(name="admin")
