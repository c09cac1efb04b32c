"""Freezes: what is frozen and why, who is affected, and for managers the form that freezes and the button that ends."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from autosubmit_portal.access import policy
from autosubmit_portal.admin import presentation
from autosubmit_portal.admin.base import ReadOnlyAdmin
from autosubmit_portal.admin.console import console
from autosubmit_portal.audit.origin import origin_of
from experiments.actions.freeze import (
    LONGEST_MESSAGE,
    FreezePlan,
    end_freeze,
    freeze,
    may_freeze,
    sites_to_freeze,
)
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.models import Experiment, Freeze, Site

INSTANT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class FreezeForm(forms.Form):
    """What to freeze. The rules are those of `experiments.actions.freeze`; its errors come back here."""

    site = forms.ModelChoiceField(Site.objects.none(), empty_label=None)
    platform = forms.CharField(
        max_length=100,
        required=False,
        help_text="Only this platform, as experiments name it. Blank freezes the whole site.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "MN5"}),
    )
    message = forms.CharField(
        max_length=LONGEST_MESSAGE,
        help_text="Everybody who would start something reads it.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "placeholder": "Maintenance of the batch system"}
        ),
    )
    starts_at = forms.DateTimeField(
        required=False, label="From (UTC)", help_text="Blank: now.", widget=INSTANT
    )
    ends_at = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        help_text="Then it ends by itself. Blank: until somebody ends it.",
        widget=INSTANT,
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        site: Any = self.fields["site"]
        site.queryset = sites_to_freeze(user).order_by("-is_default", "slug")

    def show_errors(self, refusal: InvalidParameters) -> None:
        """Put each error at its field."""
        for name, texts in refusal.errors.items():
            for text in texts:
                self.add_error(name, text)


@admin.register(Freeze, site=console)
class FreezeAdmin(ReadOnlyAdmin):
    """Freezes; they are made and ended, never changed or deleted."""

    page_template = "admin/portal/freeze.html"
    live_seconds = 5
    list_display = ("what", "state", "said", "begins", "ends", "by")
    list_select_related = ("site",)
    list_filter = ("site",)
    search_fields = ("platform", "message", "made_by_name")
    search_placeholder = "platform, message or person"
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Fetch the site with the freeze."""
        return super().get_queryset(request).select_related("site")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may see the sites."""
        return policy.may_view(request.user, Site)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see the sites."""
        return policy.may_view(request.user, Site)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may freeze."""
        return sites_to_freeze(request.user).exists()

    def get_urls(self) -> list[URLPattern]:
        """Add the form and the end."""
        view = self.admin_site.admin_view
        return [
            path("add/", view(self.freeze_view), name="experiments_freeze_add"),
            path("<int:object_id>/end/", view(require_POST(self.end_view)), name="experiments_freeze_end"),
            *super().get_urls(),
        ]

    def freeze_view(self, request: HttpRequest) -> HttpResponse:
        """Show the form, or freeze."""
        if not self.has_add_permission(request):
            raise PermissionDenied(f"{request.user} may not freeze any site.")
        form = FreezeForm(request.user, request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            try:
                plan = FreezePlan(**form.cleaned_data)
                made = freeze(plan, actor=request.user, origin=origin_of(request))  # type: ignore[arg-type]
                return HttpResponseRedirect(reverse("admin:experiments_freeze_change", args=[made.pk]))
            except InvalidParameters as refusal:
                form.show_errors(refusal)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Freeze",
            "form": form,
        }
        return TemplateResponse(request, "admin/portal/new_freeze.html", context)

    def end_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """End the freeze and go back to its page."""
        found = self.seen_object(request, str(object_id))
        try:
            end_freeze(found, actor=request.user, origin=origin_of(request))  # type: ignore[arg-type]
            messages.success(request, f"{found} is frozen no more.")
        except (policy.Forbidden, Refusal) as refusal:
            messages.error(request, str(refusal))
        return HttpResponseRedirect(reverse("admin:experiments_freeze_change", args=[object_id]))

    def page_context(self, request: HttpRequest, obj: Freeze) -> dict[str, Any]:
        """Return the freeze and the experiments that run where it holds."""
        running = obj.running_experiments().values("pk")
        affected = (
            Experiment.objects.visible_to(request.user).filter(pk__in=running).order_by("owner", "expid")
        )
        return {
            "title": f"Freeze of {obj}",
            "freeze": obj,
            "affected": [] if obj.is_over else list(affected.select_related("site")),
            "may_end": not obj.is_over and may_freeze(request.user, obj.site),
        }

    @admin.display(description="Frozen", ordering="site")
    def what(self, frozen: Freeze) -> str:
        """Name the platform or the site."""
        return str(frozen)

    @admin.display(description="State")
    def state(self, frozen: Freeze) -> SafeString:
        """Say whether it holds."""
        return presentation.freeze_state(frozen)

    @admin.display(description="Message")
    def said(self, frozen: Freeze) -> SafeString:
        """Show the beginning of the message."""
        return format_html('<span class="about" title="{0}">{0}</span>', frozen.message[:300])

    @admin.display(description="From", ordering="starts_at")
    def begins(self, frozen: Freeze) -> SafeString:
        """Show its start."""
        return presentation.when(frozen.starts_at)

    @admin.display(description="Until", ordering="ends_at")
    def ends(self, frozen: Freeze) -> SafeString:
        """Show its end."""
        return presentation.when(frozen.ended_at or frozen.ends_at)

    @admin.display(description="By", ordering="made_by_name")
    def by(self, frozen: Freeze) -> str:
        """Say who froze it."""
        return frozen.made_by_name
