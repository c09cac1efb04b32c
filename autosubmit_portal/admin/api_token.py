"""API tokens: everybody makes and revokes their own; the token itself is shown once."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from autosubmit_portal.access import policy
from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.admin import presentation
from autosubmit_portal.admin.base import ConsoleAdmin
from autosubmit_portal.admin.console import console
from autosubmit_portal.audit.models import AuditEntry


class TokenForm(forms.Form):
    """What a new token is for."""

    name = forms.CharField(
        max_length=100,
        label="What uses it",
        help_text="So that you know later which one to revoke: a script, a host, a person.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "nightly report on login1"}),
    )


@admin.register(ApiToken, site=console)
class ApiTokenAdmin(ConsoleAdmin):
    """One's own tokens; with the permission to see tokens, everybody's."""

    list_display = ("name", "beginning", "user", "made", "revoke")
    list_display_links = None
    list_select_related = ("user",)
    actions = None
    ordering = ("-created",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return one's own tokens, or all with the permission to see them."""
        rows = super().get_queryset(request)
        return rows if request.user.has_perm("access.view_apitoken") else rows.filter(user=request.user.pk)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Everybody in the console has tokens."""
        return True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Everybody sees their own."""
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Everybody may make one for themselves: it can do no more than they can."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a token is revoked and a new one made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Everybody revokes their own; others' need the permission."""
        return (obj is not None and obj.user_id == request.user.pk) or super().has_delete_permission(
            request, obj
        )

    def get_urls(self) -> list[URLPattern]:
        """Leave out the pages that a token does not have."""
        kept = ("_changelist", "_add", "_delete")
        return [url for url in super().get_urls() if (url.name or "").endswith(kept)]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what the token is for, make it, and show it this once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST if request.method == "POST" else None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "New API token",
            "form": form,
        }
        if form.is_bound and form.is_valid():
            _, context["token"] = ApiToken.objects.create(request.user, name=form.cleaned_data["name"])
        response = TemplateResponse(request, "admin/portal/new_token.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="Begins with")
    def beginning(self, token: ApiToken) -> SafeString:
        """Show the first characters, which are all that is kept."""
        return format_html("<code>{}…</code>", token.token_key)

    @admin.display(description="Made", ordering="created")
    def made(self, token: ApiToken) -> SafeString:
        """Show when it was made."""
        return presentation.when(token.created)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Link to the trail for those who may see it."""
        columns = [*super().get_list_display(request)]
        return [*columns[:-1], "did", columns[-1]] if policy.may_view(request.user, AuditEntry) else columns

    @admin.display(description="")
    def did(self, token: ApiToken) -> SafeString:
        """Link to everything in the trail that was done with it."""
        address = reverse("admin:audit_auditentry_changelist")
        query = urlencode({"credential": token.credential})
        return format_html('<a href="{}?{}">What it did</a>', address, query)

    @admin.display(description="")
    def revoke(self, token: ApiToken) -> SafeString:
        """Link to the page that asks before it revokes."""
        return format_html(
            '<a class="danger" href="{}">Revoke</a>', reverse("admin:access_apitoken_delete", args=[token.pk])
        )
