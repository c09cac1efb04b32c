"""API tokens: everybody makes and revokes their own; the token itself is shown once."""

from operator import attrgetter
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.api_tokens import TokenRequest, WrongToken, list_teams, make_token, revoke_token
from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.parts import presentation, shown_once
from autosubmit_portal.console.parts.base import ConsoleAdmin
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.site import console
from experiments.catalogue.kinds import CATALOGUE

# The cookie that carries a new token from the form to the page that shows it.
NEW_TOKEN = "new_token"  # noqa: S105 # its name


class TokenForm(forms.Form):
    """What a new token is for. The kinds on offer are those that `user` may request."""

    name = forms.CharField(
        max_length=100,
        label=gettext_lazy("What uses it"),
        help_text=gettext_lazy("So that you know later which one to revoke: a script, a host, a person."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": gettext_lazy("nightly report on login1")}),
    )
    days = forms.IntegerField(
        initial=settings.TOKEN_DEFAULT.days,
        min_value=1,
        max_value=settings.TOKEN_DAYS,
        label=gettext_lazy("Days"),
        help_text=format_lazy(
            gettext_lazy("For how long it is good, at most {days} days. Then make a new one."), days=settings.TOKEN_DAYS
        ),
    )
    read_only = forms.BooleanField(
        required=False,
        label=gettext_lazy("Only to read"),
        help_text=gettext_lazy("It can look at everything that you may see."),
    )
    kinds = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Only for these actions"),
        help_text=gettext_lazy("None chosen: for all that you may ask for, now and later."),
    )

    teams = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Only for these teams"),
        help_text=gettext_lazy("None chosen: for all experiments that you may see."),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        kinds = [(kind.name, gettext(kind.title)) for kind in CATALOGUE.values() if policy.may_request(user, kind)]
        cast("forms.MultipleChoiceField", self.fields["kinds"]).choices = kinds
        teams = [(team.slug, str(team)) for team in list_teams(user)]
        cast("forms.MultipleChoiceField", self.fields["teams"]).choices = teams
        for name, choices in (("kinds", kinds), ("teams", teams)):
            if not choices:
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """Refuse what contradicts itself."""
        given = self.cleaned_data
        if given.get("read_only") and given.get("kinds"):
            raise forms.ValidationError(gettext("Choose: only to read, or for these actions."))
        return given

    def read_wanted(self) -> TokenRequest:
        """Return the token that was asked for."""
        given = self.cleaned_data
        kinds = [] if given["read_only"] else given.get("kinds") or None
        return TokenRequest(name=given["name"], days=given["days"], kinds=kinds, teams=given.get("teams") or None)


def describe_limits(token: ApiToken) -> str:
    """Return for which kinds of actions and which teams a token is, in words."""
    kinds = (presentation.kind_title(name) for name in token.kinds or ())
    does = gettext("Everything") if token.kinds is None else ", ".join(kinds) or gettext("Only to read")
    if not token.only_teams:
        return does
    teams = ", ".join(team.slug for team in token.teams.all()) or gettext("no team any more")
    return gettext("{does}, of {teams}").format(does=does, teams=teams)


@admin.register(ApiToken, site=console)
class ApiTokenAdmin(ConsoleAdmin):
    """One's own tokens; with the permission to see tokens, everybody's."""

    list_display = ("name", "beginning", "user", "allows", "made", "expires", "used", "revoke")
    csv_columns = {
        "name": "name",
        "begins_with": "token_key",
        "person": attrgetter("user.username"),
        "for": describe_limits,
        "created": "created",
        "expires": "expiry",
        "last_used_at": "last_used_at",
        "last_used_address": "last_used_address",
    }
    list_display_links = None
    pages = ("changelist", "add", "delete")
    list_select_related = ("user",)
    actions = None
    ordering = ("-created",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Fetch the teams with the tokens."""
        return super().get_queryset(request).prefetch_related("teams")

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
        return (obj is not None and obj.user_id == request.user.pk) or super().has_delete_permission(request, obj)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask what the token is for, make it, and show it this once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        user = get_actor(request)
        form = TokenForm(user, request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            try:
                text = make_token(user, form.read_wanted(), origin=make_origin(request))[1]
                return shown_once.show_next(request, NEW_TOKEN, text)
            except WrongToken as wrong:
                form.add_error(None, str(wrong))
        context = {
            "title": gettext("New API token"),
            "form": form,
            "list": self.get_list_address(request),
            "token": shown_once.read_shown(request, NEW_TOKEN),
        }
        response = self.render_page(request, "admin/portal/new_token.html", None, context)
        shown_once.forget_shown(request, NEW_TOKEN, response)
        return response

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        """Revoke the token."""
        revoke_token(obj, get_actor(request), origin=make_origin(request))

    # The first characters are all that is kept.
    beginning = make_column(gettext_lazy("Begins with"), lambda token: format_html("<code>{}…</code>", token.token_key))
    made = make_field_column(gettext_lazy("Made"), "created", presentation.when)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Link to the trail for those who may see it."""
        columns = [*super().get_list_display(request)]
        return [*columns[:-1], "did", columns[-1]] if policy.may_view(request.user, AuditEntry) else columns

    @admin.display(description="")
    def did(self, token: ApiToken) -> SafeString:
        """Link to everything in the trail that was done with it."""
        address = reverse("admin:audit_auditentry_changelist")
        query = urlencode({"credential": token.credential})
        return format_html('<a href="{}?{}">{}</a>', address, query, gettext("What it did"))

    @admin.display(description=gettext_lazy("For"))
    def allows(self, token: ApiToken) -> str:
        """Name the kinds and the teams that it is for."""
        return describe_limits(token)

    @admin.display(description=gettext_lazy("Expires"), ordering="expiry")
    def expires(self, token: ApiToken) -> SafeString | str:
        """Show when it ends."""
        if token.expiry is None:
            return gettext("Never")
        day = presentation.minute(token.expiry)
        return format_html('<span class="danger">{}</span> {}', gettext("Expired"), day) if token.is_expired else day

    @admin.display(description=gettext_lazy("Last used"), ordering="last_used_at")
    def used(self, token: ApiToken) -> SafeString | str:
        """Show when and from where it was last used."""
        if token.last_used_at is None:
            return gettext("Never")
        at = presentation.when(token.last_used_at)
        return format_html('{} <span class="quiet">{}</span>', at, token.last_used_address or "")

    @admin.display(description="")
    def revoke(self, token: ApiToken) -> SafeString:
        """Link to the page that asks before it revokes."""
        address = reverse("admin:access_apitoken_delete", args=[token.pk])
        return format_html('<a class="danger" href="{}">{}</a>', address, gettext("Revoke"))
