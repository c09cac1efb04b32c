"""Freezes: what is frozen and why, who is affected, and for managers the form that freezes and the button that ends."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.forms import RuledForm
from autosubmit_portal.console.parts.presentation import freeze_state, show_excerpt, when
from autosubmit_portal.console.parts.validity import InstantField, ValidityAdmin
from autosubmit_portal.console.site import console
from experiments.actions.freeze import (
    LONGEST_MESSAGE,
    FreezePlan,
    end_freeze,
    filter_sites_to_freeze,
    freeze,
    may_freeze,
)
from experiments.actions.refusals import InvalidParameters
from experiments.models import Experiment, Freeze, Site


class FreezeForm(RuledForm):
    """What to freeze. The rules are those of `experiments.actions.freeze`; its errors come back here."""

    site = forms.ModelChoiceField(Site.objects.none(), empty_label=None)
    platform = forms.CharField(
        max_length=100,
        required=False,
        help_text=gettext_lazy("Only this platform, as experiments name it. Blank freezes the whole site."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "MN5"}),
    )
    message = forms.CharField(
        max_length=LONGEST_MESSAGE,
        help_text=gettext_lazy("Everybody who would start something reads it."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "placeholder": gettext_lazy("Maintenance of the batch system")}
        ),
    )
    starts_at = InstantField(required=False, label=gettext_lazy("From"), help_text=gettext_lazy("Blank: now."))
    ends_at = InstantField(
        required=False,
        label=gettext_lazy("Until"),
        help_text=gettext_lazy("Then it ends by itself. Blank: until somebody ends it."),
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        site: Any = self.fields["site"]
        site.queryset = filter_sites_to_freeze(user).order_by("-is_default", "slug")


@admin.register(Freeze, site=console)
class FreezeAdmin(ValidityAdmin):
    """Freezes; they are made and ended, never changed or deleted."""

    page_template = "admin/portal/freeze.html"
    form_class = FreezeForm
    form_title = gettext_lazy("Freeze")
    form_lead = gettext_lazy("While it holds, nothing that submits jobs starts. What runs goes on, and can be stopped.")
    form_button = gettext_lazy("Freeze")
    wrong = InvalidParameters
    live_seconds = 5
    list_display = ("what", "state", "said", "begins", "ends", "by")
    csv_columns = {
        "site": "site__slug",
        "platform": "platform",
        "message": "message",
        "starts_at": "starts_at",
        "ends_at": "ends_at",
        "ended_at": "ended_at",
        "made_by": "made_by_name",
    }
    list_select_related = ("site",)
    list_filter = ("site",)
    search_fields = ("platform", "message", "made_by_name")
    search_placeholder = gettext_lazy("platform, message or person")
    ordering = ("-pk",)

    what = make_column(gettext_lazy("Frozen"), str, "site")
    state = make_column(gettext_lazy("State"), freeze_state)
    said = make_field_column(gettext_lazy("Message"), "message", show_excerpt, is_sorted=False)
    begins = make_field_column(gettext_lazy("From"), "starts_at", when)
    ends = make_column(gettext_lazy("Until"), lambda frozen: when(frozen.ended_at or frozen.ends_at), "ends_at")
    by = make_field_column(gettext_lazy("By"), "made_by_name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Fetch the site with the freeze."""
        return super().get_queryset(request).select_related("site")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see the sites."""
        return policy.may_view(request.user, Site)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may freeze."""
        return filter_sites_to_freeze(request.user).exists()

    def make(self, request: HttpRequest, values: dict[str, Any]) -> Freeze:
        """Freeze."""
        return freeze(FreezePlan(**values), actor=get_actor(request), origin=make_origin(request))

    def end(self, request: HttpRequest, row: Freeze) -> str:
        """Thaw."""
        end_freeze(row, actor=get_actor(request), origin=make_origin(request))
        return gettext("{row} is frozen no more.").format(row=row)

    def get_live_rows(self, request: HttpRequest, obj: Freeze) -> stamps.PartRows:
        """Return the freeze and what runs where it holds."""
        return [Freeze.objects.filter(pk=obj.pk), list_affected(obj, request.user)]

    def get_page_context(self, request: HttpRequest, obj: Freeze) -> dict[str, Any]:
        """Return the freeze and the experiments that run where it holds."""
        affected = list_affected(obj, request.user)
        return {
            "title": gettext("Freeze of {obj}").format(obj=obj),
            "freeze": obj,
            "affected": [] if obj.is_over else list(affected.select_related("site")),
            "may_end": not obj.is_over and may_freeze(request.user, obj.site),
        }


def list_affected(frozen: Freeze, user: Any) -> QuerySet[Experiment]:
    """Return the experiments that run where a freeze holds, as far as the user may see them, by owner."""
    running = frozen.find_running_experiments().values("pk")
    return Experiment.objects.visible_to(user).filter(pk__in=running).order_by("owner", "expid")
