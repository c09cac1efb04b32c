"""The sites: health for all who may see them, settings for those who may change them. Sites are never deleted."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from autosubmit_portal import health
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages.health import describe_findings
from autosubmit_portal.console.parts.actions import Subject, list_allowed_kinds, make_buttons
from autosubmit_portal.console.parts.base import ConsoleAdmin, parse_number
from autosubmit_portal.console.parts.columns import make_column
from autosubmit_portal.console.parts.presentation import when
from autosubmit_portal.console.parts.request_pages import FormPage, RequestPages
from autosubmit_portal.console.site import console
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Site


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]  # of the stubs alone
    """The settings of a site, with the action kinds as boxes to tick."""

    disabled_kinds = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(kind.name, f"{kind.title}: {kind.help.replace('`', '')}") for kind in CATALOGUE.values()],
        widget=forms.CheckboxSelectMultiple,
        label="Switched off",
        help_text="Actions that nobody may request at this site, nor those that contain them: Restart contains Start.",
    )

    approval_kinds = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(kind.name, kind.title) for kind in CATALOGUE.values() if not kind.stops_run],
        widget=forms.CheckboxSelectMultiple,
        label="Second person",
        help_text="Actions that somebody else than who asks for them must approve, and those that contain them: "
        "Restart contains Start. What stops a run never waits.",
    )


def show_health(site: Site) -> SafeString:
    """Say whether commands can run at a site, with the reason if not."""
    if site.problem:
        return format_html(
            '<span class="state state-failed">Unhealthy</span> <span class="reason">{}</span>', site.problem
        )
    return SafeString('<span class="state state-succeeded">Healthy</span>')


def show_freshness(site: Site) -> SafeString:
    """Say when the mirror last looked, and whether that is too long ago."""
    if not site.is_mirror_fresh:
        return format_html('<span class="flag">Stale</span> {}', when(site.mirrored_at))
    return when(site.mirrored_at)


@admin.register(Site, site=console)
class SiteAdmin(RequestPages, ConsoleAdmin):
    """Sites. What is done to a site, such as creating an experiment, is asked for by buttons."""

    form = SiteForm
    request_targets = (Target.SITE,)
    change_form_template = "admin/portal/site.html"
    live_seconds = 5
    actions = None
    list_display = ("slug", "name", "health", "autosubmit_version", "mirrored", "queue", "is_default")
    search_fields = ("slug", "name")
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_default")}),
        ("Autosubmit", {"fields": ("autosubmit", "home", "configuration")}),
        ("Operation", {"fields": ("queue", "run_as", "refresh_seconds", "most_commands", "disabled_kinds")}),
        ("Approval", {"fields": ("approval_kinds", "approval_hours")}),
    )
    prepopulated_fields = {"slug": ("name",)}

    health = make_column("Health", show_health, "problem")
    mirrored = make_column("Mirror", show_freshness, "mirrored_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the sites that the user may see or change."""
        return Site.objects.all() if self.has_change_permission(request) else super().get_queryset(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only superusers: a site names a program, which the workers run."""
        return bool(getattr(request.user, "is_superuser", False))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Make what is executed, where and as whom read-only except for superusers."""
        return () if self.has_add_permission(request) else Site.EXECUTION

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: experiments, actions and audit entries refer to it."""
        return False

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Propose a short name for a new site only."""
        return {} if obj else dict(self.prepopulated_fields)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the health above the settings."""
        stamps.begin_part(request, [Site.objects.filter(pk=parse_number(object_id) or 0)])
        site = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if site is not None:
            kinds = list_allowed_kinds(request.user, self.request_targets, self.get_subject(site))
            context["buttons"] = make_buttons(request, self.get_subject(site), kinds, self.request_route, site.pk)
            context |= {"site": site, "may_test": self.has_change_permission(request)}
        return super().change_view(request, object_id, extra_context=context)

    def get_urls(self) -> list[URLPattern]:
        """Add the test of the connection to the hosts."""
        return [self.make_row_url("connection", self.connection_view), *super().get_urls()]

    def connection_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Show what the hosts of a site find of all that an action needs, to those who may change the site."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        site = self.get_visible_object(request, str(object_id))
        context = {**console.each_context(request), "title": f"Connection of {site}", "site": site}
        findings = describe_findings(health.examine_hosts(site))
        return TemplateResponse(request, "admin/portal/connection.html", context | findings)

    def form_page(self, request: HttpRequest, object_id: int, name: str) -> FormPage:
        """Offer the other sites on the form page."""
        page = super().form_page(request, object_id, name)
        sites = self.get_queryset(request).order_by("-is_default", "slug")
        others = [
            {
                "name": site.name,
                "address": reverse(f"admin:{self.request_route}", args=[site.pk, name]),
                "is_current": site.pk == object_id,
            }
            for site in sites
        ]
        page.frame["sites"] = others if len(others) > 1 else []
        return page

    def get_subject(self, obj: Site) -> Subject:
        """The site itself."""
        return Subject(site=obj)
