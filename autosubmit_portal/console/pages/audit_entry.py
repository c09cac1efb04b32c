"""The audit trail, to read and to search."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import make_origin
from autosubmit_portal.console.parts import filters, presentation
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.csv_lists import FORMAT
from autosubmit_portal.console.site import console
from experiments.audit_visibility import find_experiment, list_visible_entries
from jobs.autosubmit.secrets import mask_text


@admin.register(AuditEntry, site=console)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Entries of the trail. Nothing changes or deletes one."""

    page_template = "admin/portal/audit_entry.html"
    live_seconds = 5
    list_display = ("at_time", "happened", "who", "came_by", "address", "about", "said")
    csv_columns = {
        "id": "id",
        "at": "at",
        "event": "event",
        "actor_name": "actor_name",
        "on_behalf_of": "on_behalf_of",
        "credential": "credential",
        "door": "door",
        "address": "address",
        "subject": "subject",
        "site": "site",
        "expid": "expid",
        "action_id": "action_id",
        "message": "message",
        "digest": "digest",
    }
    long_fields = ("details",)
    list_display_links = ("happened",)
    list_filter = (
        filters.PeriodFilter,
        filters.EventFilter,
        filters.DoorFilter,
        filters.ExpidFilter,
        filters.ActorFilter,
        filters.OnBehalfOfFilter,
        filters.CredentialFilter,
        filters.ActionIdFilter,
    )
    search_fields = ("actor_name", "on_behalf_of", "credential", "expid", "subject", "event", "message", "address")
    search_placeholder = gettext_lazy("person, expid, event, token, address or message")
    ordering = ("-pk",)

    at_time = make_field_column(gettext_lazy("When"), "at", presentation.exact)
    happened = make_field_column(gettext_lazy("Event"), "event", presentation.event)
    came_by = make_field_column(gettext_lazy("Door"), "door", presentation.translate)
    said = make_column(
        gettext_lazy("Message"), lambda entry: presentation.show_excerpt(presentation.in_zone(mask_text(entry.message)))
    )

    @admin.display(description=gettext_lazy("Who"), ordering="actor_name")
    def who(self, entry: AuditEntry) -> SafeString:
        """Link to everything that this person did, and to what was done for the one they acted for."""
        if not entry.actor_name:
            return presentation.NOTHING
        actor = _link_to_entries("actor_name", entry.actor_name)
        if not entry.on_behalf_of:
            return actor
        lender = _link_to_entries("on_behalf_of", entry.on_behalf_of)
        return format_html(gettext("{actor} for {lender}"), actor=actor, lender=lender)

    @admin.display(description=gettext_lazy("About"), ordering="subject")
    def about(self, entry: AuditEntry) -> SafeString:
        """Link to the action, if there is one."""
        if entry.action_id is None:
            return format_html('<span class="about">{}</span>', presentation.subject(entry.subject))
        address = reverse("admin:experiments_action_change", args=[entry.action_id])
        return format_html('<a href="{}">{} <span class="num">#{}</span></a>', address, entry.subject, entry.action_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the entries that the user may see."""
        return list_visible_entries(request.user)

    def record_csv(self, request: HttpRequest) -> None:
        """Record that somebody takes entries away, and which."""
        query = request.GET.dict()
        details = {"format": query.pop(FORMAT), "query": query}
        trail.record("audit.exported", origin=make_origin(request), subject="audit trail", details=details)

    def get_page_context(self, request: HttpRequest, obj: AuditEntry) -> dict[str, Any]:
        """Return the entry and the experiment that it is about."""
        experiment = find_experiment(request.user, obj) if obj.expid else None
        return {"entry": obj, "experiment": experiment, "title": gettext("Audit entry {pk}").format(pk=obj.pk)}


def _link_to_entries(field: str, value: str) -> SafeString:
    """Link to the list of all entries with this value."""
    address = f"{reverse('admin:audit_auditentry_changelist')}?{urlencode({field: value})}"
    return format_html('<a href="{}">{}</a>', address, value)
