"""Teams, and the roles and accounts of people at sites. What the policy makes of them is in docs/permissions.md.

Whoever manages all teams changes everything; the manager of a site what lies at that site; the manager of a team who is
in it. `access.teams` says so, here it is only shown and asked for.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.models import (
    Coverage,
    Membership,
    SiteAccount,
    SitePolicy,
    SiteRole,
    Team,
    TeamExperiment,
)
from autosubmit_portal.access.rights import teams
from autosubmit_portal.access.rights.grants import make_condition, make_covering_grants
from autosubmit_portal.console.parts.base import ConsoleAdmin
from autosubmit_portal.console.parts.columns import make_column
from autosubmit_portal.console.parts.presentation import link_to_experiment
from autosubmit_portal.console.site import console
from experiments.models import Experiment, Site

SHOWN_EXPERIMENTS = 20


def list_sites(request: HttpRequest) -> QuerySet[Site]:
    """Return the sites whose roles, accounts and teams the user may change."""
    sites = Site.objects.order_by("slug")
    return sites if teams.may_change_all(request.user) else sites.filter(pk__in=teams.find_managed_sites(request.user))


def may_manage_some_site(request: HttpRequest) -> bool:
    """Answer whether the user may change the rights at some site."""
    return teams.may_change_all(request.user) or bool(teams.find_managed_sites(request.user))


class LimitedChoices(BaseModelAdmin):  # type: ignore[type-arg]  # of the stubs alone
    """Offers, and accepts, only sites and experiments that the user may change the rights at.

    What is chosen is not changed on the way: there are no links beside the fields.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field without the links to add, change and see what is chosen."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Limit what may be chosen; a coverage of all sites is for whoever manages all teams."""
        if db_field.name == "site":
            kwargs["queryset"] = list_sites(request)
            kwargs["required"] = not (db_field.blank and teams.may_change_all(request.user))
        if db_field.name == "experiment":
            kwargs["queryset"] = Experiment.objects.filter(site__in=list_sites(request))
        if db_field.name == "user":
            kwargs["queryset"] = User.objects.order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class TeamInline(LimitedChoices, admin.TabularInline):  # type: ignore[type-arg]
    """A part of the page of a team, changed by whoever may change all about the team unless it says otherwise."""

    extra = 0

    def may_change(self, request: HttpRequest, team: Team | None) -> bool:
        """Answer whether the user may change these rows."""
        return may_manage_some_site(request) if team is None else teams.may_change(request.user, team)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show it to whoever sees the team."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As `may_change` says; so it is with adding and deleting."""
        return self.may_change(request, obj)

    has_add_permission = has_delete_permission = has_change_permission


class MembershipInline(TeamInline):
    """Who is in the team. Its managers change this too."""

    model = Membership
    verbose_name = gettext_lazy("member")
    verbose_name_plural = gettext_lazy("members")
    fields = ("user", "role", "source")
    readonly_fields = ("source",)

    def may_change(self, request: HttpRequest, team: Team | None) -> bool:
        """Let the managers of the team change it too."""
        return super().may_change(request, team) or (team is not None and teams.is_manager_of(request.user, team))


class CoverageFormset(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The coverage of a team, which must not leave the sites of whoever changes it."""

    needs_site = False

    def clean(self) -> None:
        """Refuse a team that would lie at no site: whoever manages one site could not change it any more."""
        super().clean()
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        has_more = self.instance.pk is not None and self.instance.picked.exists()
        if self.needs_site and not kept and not has_more:
            raise forms.ValidationError(gettext("Say which experiments of your site the team covers."))


class CoverageInline(TeamInline):
    """Which experiments are of the team, by description."""

    model = Coverage
    formset = CoverageFormset
    verbose_name = gettext_lazy("condition")
    verbose_name_plural = gettext_lazy("Coverage: experiments that meet all conditions of any line")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Have the manager of a site name it."""
        made = super().get_formset(request, obj, **kwargs)
        return type("CoverageFormset", (made,), {"needs_site": not teams.may_change_all(request.user)})


class ExperimentInline(TeamInline):
    """Which experiments are of the team, one by one."""

    model = TeamExperiment
    verbose_name = gettext_lazy("experiment")
    verbose_name_plural = gettext_lazy("experiments added by hand")
    autocomplete_fields = ("experiment",)


@admin.register(Team, site=console)
class TeamAdmin(ConsoleAdmin):
    """Teams. Everybody sees those that they are in."""

    inlines = (MembershipInline, CoverageInline, ExperimentInline)
    actions = None
    list_display = ("slug", "name", "people", "described")
    search_fields = ("slug", "name")
    search_placeholder = gettext_lazy("team")
    prepopulated_fields = {"slug": ("name",)}
    fields = ("name", "slug", "description", "covered")
    readonly_fields = ("covered",)
    ordering = ("slug",)

    people = make_column(gettext_lazy("People"), lambda team: team.number_of_people)
    described = make_column(
        gettext_lazy("Coverage"), lambda team: gettext("; or ").join(part.described for part in team.coverages.all())
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the teams that the user may see, with what the list shows."""
        members = Membership.objects.filter(team=OuterRef("pk")).order_by().values("team")
        people = members.annotate(number=Count("user", distinct=True)).values("number")
        rows = teams.filter_teams(request.user).annotate(number_of_people=Coalesce(Subquery(people), 0))
        return rows.prefetch_related("coverages__site", "coverages__team")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let in whoever is in a team or may make one."""
        return teams.may_see_some(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever manages a site makes teams for it."""
        return may_manage_some_site(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Managers of the team, of its sites, and of all teams."""
        return may_manage_some_site(request) if obj is None else teams.may_change_members(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change everything about it."""
        return obj is not None and teams.may_change(request.user, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Leave the name of the team to whoever may change everything about it."""
        is_free = obj is None or teams.may_change(request.user, obj)
        return self.readonly_fields if is_free else self.fields

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Propose a short name for a new team only."""
        return {} if obj else dict(self.prepopulated_fields)

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Lead to the other rights, which have no place of their own in the navigation."""
        beside = [
            (made.opts.verbose_name_plural, reverse(f"admin:access_{made.opts.model_name}_changelist"))
            for made in map(self.admin_site.get_model_admin, (SiteRole, SiteAccount, SitePolicy))
            if made.has_view_permission(request)
        ]
        return {"beside": beside}

    @admin.display(description=gettext_lazy("Experiments"))
    def covered(self, team: Team) -> SafeString | str:
        """Count what it covers now, and name the first."""
        condition = make_condition(make_covering_grants([team.pk])) if team.pk else None
        if condition is None:
            return gettext("None yet.")
        rows = Experiment.objects.filter(condition, gone_at=None).order_by("expid")
        named = rows.select_related("site")[:SHOWN_EXPERIMENTS]
        links = format_html_join(" ", "{}", ((link_to_experiment(one),) for one in named))
        number = rows.count()
        return format_html("{}: {}{}", number, links, " …" if number > SHOWN_EXPERIMENTS else "")


class RightsAdmin(LimitedChoices, ConsoleAdmin):
    """Rights at sites, for whoever manages the site."""

    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those at sites that the user manages."""
        return super().get_queryset(request).filter(site__in=list_sites(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever manages the site, or for a new row any site; they may do everything with it."""
        return may_manage_some_site(request) if obj is None else list_sites(request).filter(pk=obj.site_id).exists()

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


@admin.register(SiteRole, site=console)
class SiteRoleAdmin(RightsAdmin):
    """Roles of people at whole sites."""

    list_display = ("user", "role", "site", "source")
    list_select_related = ("user", "site")
    readonly_fields = ("source",)
    search_fields = ("user__username",)
    search_placeholder = gettext_lazy("person")


@admin.register(SiteAccount, site=console)
class SiteAccountAdmin(RightsAdmin):
    """Unix users of people at sites."""

    list_display = ("user", "unix_name", "site")
    list_select_related = ("user", "site")
    search_fields = ("user__username", "unix_name")
    search_placeholder = gettext_lazy("person or Unix user")


@admin.register(SitePolicy, site=console)
class SitePolicyAdmin(RightsAdmin):
    """What sites grant to the owners of experiments."""

    list_display = ("site", "owner_role")
    list_select_related = ("site",)
