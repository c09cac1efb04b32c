"""Delegations: everybody lends their own rights here, and sees and revokes what they have lent."""

from operator import attrgetter
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.models import Delegation, Team, list_role_choices
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.delegations import (
    LONGEST_DAYS,
    AlreadyOver,
    DelegationRequest,
    Unacceptable,
    delegate,
    filter_delegations,
    may_revoke,
    revoke,
)
from autosubmit_portal.access.rights.teams import filter_teams
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.forms import RuledForm
from autosubmit_portal.console.parts.presentation import delegation_state, show_excerpt, when
from autosubmit_portal.console.parts.validity import InstantField, ValidityAdmin
from autosubmit_portal.console.site import console
from experiments.models import Experiment
from experiments.models.experiment import choose_meant


class DelegationForm(RuledForm):
    """What to lend. The rules are those of `access.delegations`; its errors come back here."""

    grantee = forms.CharField(
        max_length=150,
        label="To",
        help_text=gettext_lazy("The name of the account that may act for you."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    role = forms.TypedChoiceField(
        choices=list_role_choices,
        coerce=lambda value: Role(int(value)),
        initial=Role.OPERATOR,
        label="As",
        help_text=gettext_lazy("What it may do at most; never more than you may yourself."),
    )
    team = forms.ModelChoiceField(
        Team.objects.none(),
        required=False,
        empty_label="–",
        help_text=gettext_lazy("Only on the experiments of this team."),
    )
    experiment = forms.CharField(
        max_length=110,
        required=False,
        help_text=gettext_lazy("Only on this experiment: its expid, or `site/expid` where several sites have it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "a000"}),
    )
    starts_at = InstantField(required=False, label=gettext_lazy("From"), help_text=gettext_lazy("Blank: now."))
    ends_at = InstantField(
        label=gettext_lazy("Until"),
        help_text=format_lazy(gettext_lazy("Then it ends by itself, at most {days} days on."), days=LONGEST_DAYS),
    )
    reason = forms.CharField(
        max_length=2000,
        help_text=gettext_lazy("Why. Kept in the audit trail."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": gettext_lazy("Holidays")}),
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        self.user = user
        team: Any = self.fields["team"]
        team.queryset = filter_teams(user).order_by("slug")

    def clean_grantee(self) -> User | None:
        """Return the account of that name, if there is one."""
        return User.objects.filter(username=self.cleaned_data["grantee"]).first()

    def clean_experiment(self) -> Experiment | None:
        """Return the experiment that is named, among those that the user may see."""
        text = self.cleaned_data["experiment"].strip()
        if not text:
            return None
        site, _, expid = text.rpartition("/")
        rows = Experiment.objects.visible_to(self.user).filter(expid=expid)
        found = choose_meant(list(rows.filter(site__slug=site) if site else rows))
        if len(found) != 1:
            raise ValidationError(
                gettext("Several sites have it: write site/expid.") if found else gettext("There is no such one.")
            )
        return found[0]


@admin.register(Delegation, site=console)
class DelegationAdmin(ValidityAdmin):
    """One's own delegations, given and received; everybody's for managers of all teams."""

    page_template = "admin/portal/delegation.html"
    form_class = DelegationForm
    form_title = gettext_lazy("New delegation")
    form_lead = gettext_lazy(
        "A colleague may act with your rights for a time. What they do is theirs in the trail, for you."
    )
    form_button = gettext_lazy("Delegate")
    wrong = Unacceptable
    refusals = (policy.Forbidden, AlreadyOver)
    list_display = ("who", "state", "what", "begins", "ends", "why")
    csv_columns = {
        "delegation": "id",
        "from": attrgetter("grantor.username"),
        "to": attrgetter("grantee.username"),
        "role": lambda lent: Role(lent.role).name.lower(),
        "of": attrgetter("about"),
        "starts_at": "starts_at",
        "ends_at": "ends_at",
        "revoked_at": "revoked_at",
        "revoked_by": "revoked_by_name",
        "reason": "reason",
    }
    list_select_related = ("grantor", "grantee", "team", "experiment__site")
    search_fields = ("grantor__username", "grantee__username", "reason")
    search_placeholder = gettext_lazy("person or reason")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return what the user has lent and was lent."""
        return filter_delegations(request.user).select_related(*self.list_select_related)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Everybody sees their own."""
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Everybody lends their own."""
        return True

    def make(self, request: HttpRequest, values: dict[str, Any]) -> Delegation:
        """Lend."""
        return delegate(DelegationRequest(**values), grantor=get_actor(request), origin=make_origin(request))

    def end(self, request: HttpRequest, row: Delegation) -> str:
        """Revoke."""
        revoke(row, actor=get_actor(request), origin=make_origin(request))
        return gettext("{grantee} does not act for {grantor} any more.").format(
            grantee=row.grantee, grantor=row.grantor
        )

    def get_page_context(self, request: HttpRequest, obj: Delegation) -> dict[str, Any]:
        """Return the delegation."""
        return {
            "title": gettext("{grantee} for {grantor}").format(grantee=obj.grantee, grantor=obj.grantor),
            "delegation": obj,
            "role": Role(obj.role),
            "may_revoke": not obj.is_over and may_revoke(request.user, obj),
        }

    state = make_column(gettext_lazy("State"), delegation_state)
    begins = make_field_column(gettext_lazy("From"), "starts_at", when)
    ends = make_column(gettext_lazy("Until"), lambda lent: when(lent.revoked_at or lent.ends_at), "ends_at")
    why = make_field_column(gettext_lazy("Reason"), "reason", show_excerpt, is_sorted=False)

    @admin.display(description=gettext_lazy("Who"), ordering="grantee__username")
    def who(self, delegation: Delegation) -> SafeString:
        """Say who acts for whom."""
        return format_html(
            '{} <span class="quiet">{}</span> {}', delegation.grantee, gettext("for"), delegation.grantor
        )

    @admin.display(description=gettext_lazy("What"))
    def what(self, delegation: Delegation) -> SafeString:
        """Say what was lent."""
        return format_html(
            '{} <span class="quiet">{}</span>',
            gettext(Role(delegation.role).title),
            gettext("of {what}").format(what=delegation.about),
        )
