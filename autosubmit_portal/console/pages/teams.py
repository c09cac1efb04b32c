"""Teams: the list, and a page of each: who is in it, what it covers, and who else may act there.

Whoever manages all teams changes everything; the manager of a site the teams that lie wholly there; the manager of a
team who is in it. `access.rights.team_changes` says so, here it is only shown and asked for.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from autosubmit_portal.access.models import Coverage, Delegation, Membership, SiteAccount, SitePolicy, SiteRole, Team
from autosubmit_portal.access.rights import invitations, team_changes, teams
from autosubmit_portal.access.rights.delegations import filter_delegations
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.addresses import make_name_key
from autosubmit_portal.console.pages.invitation import make_link
from autosubmit_portal.console.parts import shown_once
from autosubmit_portal.console.parts.base import BriefChangeList, parse_number
from autosubmit_portal.console.parts.columns import make_column
from autosubmit_portal.console.parts.covering import count_covered, foresee
from autosubmit_portal.console.parts.finder import find_accounts
from autosubmit_portal.console.parts.managed_sites import may_manage_some_site
from autosubmit_portal.console.parts.named import NamedAdmin
from autosubmit_portal.console.parts.team import make_team_context
from autosubmit_portal.console.parts.team_forms import (
    CoverageForm,
    ExperimentForm,
    InvitationForm,
    MemberForm,
    TeamForm,
    explain_owner,
)
from autosubmit_portal.console.site import console

# The cookie that carries a new link from the form to the page that shows it.
NEW_LINK = "new_link"


def describe_coverage(team: Team) -> str:
    """Return the lines of the coverage of a team in words."""
    return gettext("; or ").join(part.described for part in team.coverages.all())


def list_managers(team: Any) -> list[str]:
    """Return the names of the managers of a team, each once."""
    return [*dict.fromkeys(row.user.username for row in team.its_managers)]


@admin.register(Team, site=console)
class TeamAdmin(NamedAdmin):
    """Teams. Everybody sees those that they are in."""

    pages = ("changelist", "change")
    page_template = "admin/portal/team.html"
    list_display = ("slug", "name", "people", "covered", "managers", "lent", "described")
    search_fields = ("slug", "name")
    search_placeholder = gettext_lazy("team")
    ordering = ("slug",)

    csv_columns = {
        "team": "slug",
        "name": "name",
        "description": "description",
        "people": attrgetter("number_of_people"),
        "experiments": attrgetter("number_of_experiments"),
        "managers": lambda team: ", ".join(list_managers(team)),
        "delegations": attrgetter("number_of_delegations"),
        "coverage": describe_coverage,
    }

    people = make_column(gettext_lazy("People"), lambda team: team.number_of_people)
    covered = make_column(gettext_lazy("Experiments now"), lambda team: team.number_of_experiments)
    lent = make_column(gettext_lazy("Delegations"), lambda team: team.number_of_delegations)
    described = make_column(gettext_lazy("Coverage"), describe_coverage)

    def get_urls(self) -> list[URLPattern]:
        """Add the form for a new team, and what is changed on the page of one."""
        view = self.admin_site.admin_view
        return [
            path("add/", view(self.add_view), name=self.get_route("add")),
            path("preview/", view(require_POST(self.preview_view)), name=self.get_route("preview")),
            self.make_row_url("edit", self.edit_view),
            self.make_row_url("delete", self.remove_view),
            self.make_row_url("offers", require_safe(self.offers_view)),
            self.make_row_url("people", require_POST(self.people_view)),
            self.make_row_url("people", require_POST(self.drop_person_view), "<int:row_id>/remove/"),
            self.make_row_url("invitations", self.invitations_view),
            self.make_row_url("invitations", require_POST(self.withdraw_view), "<int:row_id>/withdraw/"),
            self.make_row_url("coverage", require_POST(self.coverage_view)),
            self.make_row_url("coverage", require_POST(self.drop_coverage_view), "<int:row_id>/remove/"),
            self.make_row_url("experiments", require_POST(self.experiments_view)),
            self.make_row_url("experiments", require_POST(self.drop_experiment_view), "<int:row_id>/remove/"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the teams that the user sees, with what the list shows."""
        members = Membership.objects.current().filter(team=OuterRef("pk")).order_by().values("team")
        people = members.annotate(number=Count("user", distinct=True)).values("number")
        lent = filter_delegations(request.user).filter(team=OuterRef("pk")).order_by().values("team")
        active = lent.filter(pk__in=Delegation.objects.active().values("pk"))
        rows = teams.filter_teams(request.user).annotate(
            number_of_people=Coalesce(Subquery(people), 0),
            number_of_delegations=Coalesce(Subquery(active.annotate(number=Count("pk")).values("number")), 0),
        )
        managers = Membership.objects.current().filter(role=Role.MANAGER).select_related("user")
        shown = Prefetch("memberships", managers.order_by("user__username"), to_attr="its_managers")
        return rows.prefetch_related("coverages__site", "coverages__team", shown)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BriefChangeList]:
        """Return the list that counts what each of its teams covers."""
        return TeamList

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let in whoever is in a team or may make one."""
        return teams.may_see_some(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever manages a site makes teams for it."""
        return may_manage_some_site(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change everything about it."""
        return may_manage_some_site(request.user) if obj is None else teams.may_change(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change everything about it."""
        return obj is not None and teams.may_change(request.user, obj)

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Lead to the other rights, which have no place of their own in the navigation."""
        beside = [
            (made.opts.verbose_name_plural, reverse(f"admin:access_{made.opts.model_name}_changelist"))
            for made in map(self.admin_site.get_model_admin, (SiteRole, SiteAccount, SitePolicy))
            if made.has_view_permission(request)
        ]
        return {"beside": beside}

    @admin.display(description=gettext_lazy("Managers"))
    def managers(self, team: Any) -> SafeString:
        """Name its managers, each once."""
        return format_html_join(", ", "{}", ((name,) for name in list_managers(team)))

    def complete_rows(self, rows: list[Any]) -> None:
        """Count the experiments that are of each team now."""
        counts = count_covered(rows)
        for team in rows:
            team.number_of_experiments = counts[team.pk]

    def get_page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the page of a team shows; `?line=` fills the form of its coverage with a line."""
        return make_team_context(request, row) | {
            "offers": self.get_address("offers", row),
            "member_form": self._make_member_form(row),
            "invitation_form": InvitationForm(),
            "coverage_form": self._make_coverage_form(request, row, request.GET.get("line")),
            "experiment_form": ExperimentForm(request.user),
        }

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Make a team with its first line of coverage, and go to its page."""
        self._require(self.has_add_permission(request))
        data = request.POST if request.method == "POST" else None
        may_be_empty = teams.may_change_all(request.user)
        form = TeamForm(data)
        line = CoverageForm(request.user, data, empty_permitted=may_be_empty, use_required_attribute=False)
        if data is not None and form.is_valid() and line.is_valid():
            with transaction.atomic():
                team = form.save()
                if line.has_changed():
                    line.instance.team = team
                    line.save()
            return HttpResponseRedirect(self.get_address("change", team))
        context = {
            "title": gettext("New team"),
            "form": form,
            "coverage_form": line,
            "preview": self.get_address("preview"),
        }
        return self.render_page(request, "admin/portal/team_form.html", None, context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Change what a team is called."""
        team = self.get_visible_object(request, object_id)
        self._require(teams.may_change(request.user, team))
        name, back = team.name, self.get_address("change", object_id)
        form = TeamForm(request.POST if request.method == "POST" else None, instance=team)
        if form.is_bound and form.is_valid():
            return HttpResponseRedirect(self.get_address("change", form.save()))
        context = {"title": gettext("Change {name}").format(name=name), "form": form, "back": back}
        return self.render_page(request, "admin/portal/team_form.html", team, context)

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Dissolve a team, as Django does, after a page that says what goes with it."""
        return self.delete_view(request, str(self.get_visible_object(request, object_id).pk))

    def offers_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer the accounts that the field for a person offers for `?q=`, as a part of the page."""
        self._require(teams.may_change_members(request.user, self.get_visible_object(request, object_id)))
        found = find_accounts(request.GET.get("q", ""))
        return TemplateResponse(request, "admin/portal/search_people.html", {"found": found})

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Answer how many experiments the line that is being written would cover, as a part of the page."""
        self._require(self.has_add_permission(request))
        key = parse_number(request.POST.get("team"))
        team = teams.filter_teams(request.user).filter(pk=key).first() if key else None
        form = CoverageForm(request.user, request.POST)
        foreseen = foresee(form.instance, team) if form.is_valid() else None
        context = {"form": form, "foreseen": foreseen, "team": team, "owner_refused": explain_owner(form)}
        return TemplateResponse(request, "admin/portal/coverage_preview.html", context)

    def people_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give somebody a place in the team, or another one."""
        team = self.get_visible_object(request, object_id)
        self._require(teams.may_change_members(request.user, team))
        form = self._make_member_form(team, request.POST)

        def save() -> str:
            row = team_changes.put_member(team, team_changes.Place(**form.cleaned_data), actor=request.user)
            return gettext("{person} is {role} of {team} now.").format(
                person=row.user, role=row.get_role_display().lower(), team=team.name
            )

        return self._save(request, team, {"member_form": form}, save)

    def invitations_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Invite somebody by a link, and show it this once."""
        team = self.get_visible_object(request, object_id)
        self._require(teams.may_change_members(request.user, team))
        if request.method == "POST":
            return self._invite(request, team)
        link = shown_once.read_shown(request, NEW_LINK)
        if link is None:
            return HttpResponseRedirect(self.get_address("change", team))
        context = {"title": gettext("New invitation"), "team": team, "link": link}
        page = self.render_page(request, "admin/portal/new_invitation.html", team, context)
        shown_once.forget_shown(request, NEW_LINK, page)
        return page

    def _invite(self, request: HttpRequest, team: Team) -> HttpResponse:
        form = InvitationForm(request.POST)
        if form.is_valid():
            offer, origin = invitations.Offer(**form.cleaned_data), make_origin(request)
            try:
                secret = invitations.invite(team, offer, actor=get_actor(request), origin=origin)
                return shown_once.show_next(request, NEW_LINK, make_link(request, secret))
            except invitations.WrongInvitation as wrong:
                form.show_errors(wrong)
        context = self.get_page_context(request, team) | {"invitation_form": form}
        return self.render_page(request, self.page_template, team, context)

    def coverage_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Add a line of coverage, or change that of which the form has the number."""
        team = self.get_visible_object(request, object_id)
        self._require(teams.may_change(request.user, team))
        form = self._make_coverage_form(request, team, request.POST.get("line"), request.POST)

        def save() -> str:
            team_changes.put_coverage(form.save(commit=False), actor=request.user)
            return gettext("{name} covers {described} now.").format(name=team.name, described=form.instance.described)

        return self._save(request, team, {"coverage_form": form}, save)

    def experiments_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Add an experiment by hand."""
        team = self.get_visible_object(request, object_id)
        self._require(teams.may_change(request.user, team))
        form = ExperimentForm(request.user, request.POST)

        def save() -> str:
            experiment = form.cleaned_data["experiment"]
            is_new = team_changes.pick(team, experiment, actor=request.user)
            said = (
                gettext("{experiment} is of {team} now.") if is_new else gettext("{experiment} is of {team} already.")
            )
            return said.format(experiment=experiment, team=team.name)

        return self._save(request, team, {"experiment_form": form}, save)

    def drop_person_view(self, request: HttpRequest, object_id: str, row_id: int) -> HttpResponse:
        """Take somebody out of the team."""

        def drop(team: Team) -> str:
            row = get_object_or_404(team.memberships.select_related("user", "team"), pk=row_id)
            team_changes.drop_member(row, actor=request.user)
            return gettext("{person} is not {role} of {team} any more.").format(
                person=row.user, role=row.get_role_display().lower(), team=team.name
            )

        return self._drop(request, object_id, teams.may_change_members, drop)

    def withdraw_view(self, request: HttpRequest, object_id: str, row_id: int) -> HttpResponse:
        """Withdraw an invitation: its link is good for nothing any more."""

        def drop(team: Team) -> str:
            row = get_object_or_404(team.invitations.select_related("team", "inviter"), pk=row_id)
            invitations.withdraw(row, actor=request.user, origin=make_origin(request))
            return gettext("The invitation for {whom} is withdrawn.").format(whom=row.whom)

        return self._drop(request, object_id, teams.may_change_members, drop)

    def drop_coverage_view(self, request: HttpRequest, object_id: str, row_id: int) -> HttpResponse:
        """Take a line of coverage away."""

        def drop(team: Team) -> str:
            row = get_object_or_404(team.coverages.select_related("site", "team"), pk=row_id)
            team_changes.drop(row, actor=request.user)
            return gettext("{name} does not cover {described} any more.").format(
                name=team.name, described=row.described
            )

        return self._drop(request, object_id, teams.may_change, drop)

    def drop_experiment_view(self, request: HttpRequest, object_id: str, row_id: int) -> HttpResponse:
        """Take an experiment away that was added by hand."""

        def drop(team: Team) -> str:
            row = get_object_or_404(team.picked.select_related("experiment", "team"), pk=row_id)
            team_changes.drop(row, actor=request.user)
            return gettext("{experiment} is not added to {name} by hand any more.").format(
                experiment=row.experiment, name=team.name
            )

        return self._drop(request, object_id, teams.may_change, drop)

    def _save(self, request: HttpRequest, team: Team, forms: dict[str, Any], save: Callable[[], str]) -> HttpResponse:
        """Save a form and go back to the page of the team, or show the page with what is wrong with the form."""
        if all(form.is_valid() for form in forms.values()):
            return self.change_row(request, make_name_key(team), lambda _: save())
        context = self.get_page_context(request, team) | forms
        return self.render_page(request, self.page_template, team, context)

    def _drop(
        self, request: HttpRequest, object_id: str, may_drop: Callable[[Any, Team], bool], drop: Callable[[Team], str]
    ) -> HttpResponse:
        self._require(may_drop(request.user, self.get_visible_object(request, object_id)))
        return self.change_row(request, object_id, drop)

    def _make_member_form(self, team: Team, data: Any = None) -> MemberForm:
        return MemberForm(data, offers=self.get_address("offers", team))

    def _make_coverage_form(self, request: HttpRequest, team: Team, line: str | None, data: Any = None) -> CoverageForm:
        key = parse_number(line)
        row = (team.coverages.filter(pk=key).first() if key else None) or Coverage(team=team)
        given = {name: request.GET[name] for name in ("site", "owner", "hpc", "expid_pattern") if name in request.GET}
        return CoverageForm(request.user, data, instance=row, initial=None if row.pk else given)

    def _require(self, is_allowed: bool) -> None:
        if not is_allowed:
            raise PermissionDenied


class TeamList(BriefChangeList):
    """A list of teams, each with how many experiments are of it now."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page of the list, and count."""
        super().get_results(request)
        rows: Any = list(self.result_list)
        cast("TeamAdmin", self.model_admin).complete_rows(rows)
        self.result_list = rows
