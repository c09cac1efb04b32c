"""Who is locked out after failed sign-ins, how long that lasts, and the button that lifts it."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import F, Max, QuerySet, Sum, Window
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.models import FailedSignIn
from autosubmit_portal.access.roles import LIFT_LOCKOUTS
from autosubmit_portal.access.sign_in import lockout
from autosubmit_portal.audit.origin import make_origin
from autosubmit_portal.console.parts import presentation
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.columns import make_field_column
from autosubmit_portal.console.site import console


def list_locked(attempt: Any) -> list[tuple[str, datetime]]:
    """Return what failed sign-ins have locked out, the name or the address, each with until when."""
    limit = settings.AXES_FAILURE_LIMIT
    counted = (
        (gettext("name"), attempt.by_name, limit, attempt.name_last),
        (gettext("address"), attempt.by_address, limit * lockout.ADDRESS_FACTOR, attempt.address_last),
    )
    return [(what, last + settings.AXES_COOLOFF_TIME) for what, failures, most, last in counted if failures >= most]


@admin.register(FailedSignIn, site=console)
class LockoutAdmin(ReadOnlyAdmin):
    """Failed sign-ins that still count, by name, address and browser. A lockout is lifted or it ends."""

    pages = ("changelist", "delete")
    list_display = ("username", "address", "failures", "last_failure", "locked", "lift")
    csv_columns = {
        "name": "username",
        "address": "ip_address",
        "failures": "failures_since_start",
        "last_failure": "attempt_time",
        "locked_out": lambda attempt: ", ".join(what for what, _ in list_locked(attempt)),
        "until (UTC)": lambda attempt: max((until for _, until in list_locked(attempt)), default=None),
    }
    list_display_links = None
    ordering = ("-attempt_time",)
    search_fields = ("username", "ip_address")
    search_placeholder = gettext_lazy("Name or address")
    delete_confirmation_template = "admin/portal/lift.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the failures that count, each with the totals of its name and of its address."""
        rows: QuerySet[Any] = super().get_queryset(request).filter(pk__in=lockout.filter_recent().values("pk"))
        counted: QuerySet[Any] = rows.annotate(
            by_name=Window(Sum("failures_since_start"), partition_by=F("username")),
            by_address=Window(Sum("failures_since_start"), partition_by=F("ip_address")),
            name_last=Window(Max("attempt_time"), partition_by=F("username")),
            address_last=Window(Max("attempt_time"), partition_by=F("ip_address")),
        )
        return counted

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Allow it to people who may lift lockouts, which deletes the row."""
        return request.user.has_perm(f"axes.{LIFT_LOCKOUTS}")

    has_delete_permission = has_view_permission

    def delete_model(self, request: HttpRequest, obj: FailedSignIn) -> None:
        """Lift the lockout of the name and of the address."""
        lockout.lift(name=obj.username or "", address=obj.ip_address or "", origin=make_origin(request))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        """Go back to the list."""
        messages.success(request, gettext("The lockout is lifted."))
        return HttpResponseRedirect(reverse("admin:access_failedsignin_changelist"))

    address = make_field_column(gettext_lazy("Address"), "ip_address", lambda address: address or "")
    failures = make_field_column(gettext_lazy("Failures"), "failures_since_start")
    last_failure = make_field_column(gettext_lazy("Last failure"), "attempt_time", presentation.when)

    @admin.display(description=gettext_lazy("Locked out"))
    def locked(self, attempt: Any) -> str | SafeString:
        """Say what is locked out, and until when."""
        rows = ((what, presentation.exact(until)) for what, until in list_locked(attempt))
        return format_html_join(", ", gettext("{} until {}"), rows)

    @admin.display(description="")
    def lift(self, attempt: FailedSignIn) -> SafeString:
        """Link to the page that asks before it lifts."""
        address = reverse("admin:access_failedsignin_delete", args=[attempt.pk])
        return format_html('<a href="{}">{}</a>', address, gettext("Lift"))
