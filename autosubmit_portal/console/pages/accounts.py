"""People: the list of accounts, the page of one, and what is done to it. Groups are as Django has them."""

from operator import attrgetter
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from autosubmit_portal.access import accounts
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.people import filter_people, may_see_accounts
from autosubmit_portal.access.rights.teams import filter_memberships
from autosubmit_portal.access.roles import LIFT_LOCKOUTS, Role
from autosubmit_portal.access.sign_in import lockout, second_factor
from autosubmit_portal.audit.origin import make_origin
from autosubmit_portal.console.parts.columns import make_column
from autosubmit_portal.console.parts.named import NamedAdmin
from autosubmit_portal.console.parts.person import describe_permission, list_ways_in, make_person_context
from autosubmit_portal.console.parts.presentation import when
from autosubmit_portal.console.site import console


class PermissionField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # of the stubs alone
    """The permissions that mean something in the portal, each in words."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Any) -> str:
        """Return what it allows."""
        return describe_permission(obj)


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]  # of the stubs alone
    """Who somebody is, and what they may do everywhere. Permissions that the form does not show stay as they are."""

    rights = PermissionField(
        Permission.objects.none(),
        required=False,
        label=gettext_lazy("Single rights, everywhere"),
        help_text=gettext_lazy("Besides those of the groups. What holds in a team or at a site is given there."),
    )

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "groups", "is_superuser")
        widgets = {"groups": forms.CheckboxSelectMultiple}
        labels = {
            "username": gettext_lazy("Name of the account"),
            "groups": gettext_lazy("Roles everywhere"),
            "is_superuser": gettext_lazy("Administrator"),
        }
        help_texts = {
            "username": gettext_lazy("What they sign in with. It is the address of this page too."),
            "groups": gettext_lazy("Viewer, Operator and Manager are the roles; other groups are made under “Groups”."),
            "is_superuser": gettext_lazy("May do everything, everywhere."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rights: Any = self.fields["rights"]
        rights.queryset = accounts.list_permissions().select_related("content_type")
        rights.initial = rights.queryset.filter(user=self.instance)

    def save(self, commit: bool = True) -> User:
        """Save the account and what it may do."""
        person: User = super().save(commit)
        chosen, known = set(self.cleaned_data["rights"]), set(self.fields["rights"].initial)
        person.user_permissions.remove(*known - chosen)
        person.user_permissions.add(*chosen - known)
        return person


def list_roles(person: User) -> list[str]:
    """Return the names of what somebody is everywhere."""
    names = [group.name for group in person.groups.all()]
    return [gettext("Administrator"), *names] if person.is_superuser else names


def list_places(person: Any) -> list[tuple[str, str]]:
    """Return the teams of somebody that whoever looks sees, each with the role."""
    return [(row.team.slug, Role(row.role).name.lower()) for row in person.seen_memberships]


@admin.register(User, site=console)
class AccountAdmin(NamedAdmin, UserAdmin):  # type: ignore[type-arg]  # of the stubs alone
    """People. Whoever may see accounts sees all; everybody sees their own page."""

    pages = ("changelist", "add", "change")
    page_template = "admin/portal/person.html"
    list_display = ("username", "full_name", "ways_in", "roles", "teams", "seen", "open")
    csv_columns = {
        "name": "username",
        "first_name": "first_name",
        "last_name": "last_name",
        "email": "email",
        "signs_in_with": lambda person: ", ".join(list_ways_in(person)),
        "roles": lambda person: ", ".join(list_roles(person)),
        "teams": lambda person: ", ".join(f"{team} {role}" for team, role in list_places(person)),
        "last_seen (UTC)": attrgetter("seen_at"),
        "is_active": "is_active",
    }
    list_filter = ("groups", "is_active", "is_superuser")
    search_placeholder = gettext_lazy("name or e-mail")
    ordering = ("username",)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of a person, and what is done to an account."""
        return [
            self.make_row_url("edit", self.edit_view),
            self.make_row_url("password", self.password_view),
            self.make_row_url("delete", self.remove_view),
            self.make_row_url("close", require_POST(self.close_view)),
            self.make_row_url("reopen", require_POST(self.reopen_view)),
            self.make_row_url("unlock", require_POST(self.unlock_view)),
            self.make_row_url("reset_second_factor", require_POST(self.reset_view)),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return whom the user sees, with what the list shows of each."""
        memberships = filter_memberships(request.user).select_related("team")
        shown = Prefetch("memberships", memberships.order_by("team__slug"), to_attr="seen_memberships")
        rows = filter_people(request.user).annotate(seen_at=Coalesce("visit__seen_at", "last_login"))
        return rows.prefetch_related("groups", "socialaccount_set", shown)

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Call people so."""
        return {"title": gettext("People"), "heading": gettext("People"), "one": gettext("person")}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let everybody see their own page; the list and others are for those who may see accounts."""
        return may_see_accounts(request.user) or (obj is not None and obj.pk == request.user.pk)

    def get_page_context(self, request: HttpRequest, row: User) -> dict[str, Any]:
        """Return what the page of a person shows."""
        may_edit = self.has_change_permission(request, row)
        knows_factor = may_edit or row.pk == request.user.pk
        return make_person_context(request.user, row) | {
            "may_edit": may_edit,
            "second_factor": second_factor.is_on(row) if knows_factor and row.has_usable_password() else None,
            "may_close": accounts.may_close(request.user, row),
            "may_reset": accounts.may_reset_second_factor(request.user, row),
            "may_delete": self.has_delete_permission(request, row),
            "may_list": self.has_view_permission(request),
        }

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Change who somebody is and what they may do everywhere."""
        person = self._get_to_change(request, object_id)
        name = person.username
        form = PersonForm(request.POST if request.method == "POST" else None, instance=person)
        if form.is_bound and form.is_valid():
            form.save()
            return HttpResponseRedirect(self.get_address("change", person))
        context = {
            "title": gettext("Change {name}").format(name=name),
            "form": form,
            "back": self.get_address("change", object_id),
        }
        return self.render_page(request, "admin/portal/person_form.html", person, context)

    def password_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Set a password, as Django does."""
        return self.user_change_password(request, str(self._get_to_change(request, object_id).pk))

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Delete the account, as Django does, after a page that says what goes with it."""
        return self.delete_view(request, str(self.get_visible_object(request, object_id).pk))

    def close_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close an account."""

        def change(person: User) -> str:
            accounts.set_open(person, False, actor=request.user)
            return gettext("The account {person} is closed: it has no rights.").format(person=person)

        return self.change_row(request, object_id, change)

    def reopen_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Reopen an account."""

        def change(person: User) -> str:
            accounts.set_open(person, True, actor=request.user)
            return gettext("{person} may sign in again.").format(person=person)

        return self.change_row(request, object_id, change)

    def unlock_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lift the lockout of the name."""

        def change(person: User) -> str:
            if not request.user.has_perm(f"axes.{LIFT_LOCKOUTS}"):
                raise policy.Forbidden(
                    gettext("{user} may not lift lockouts. Ask a manager.").format(user=request.user),
                    f"axes.{LIFT_LOCKOUTS}",
                )
            lockout.lift(name=person.username, origin=make_origin(request))
            return gettext("{person} may try to sign in again.").format(person=person)

        return self.change_row(request, object_id, change)

    def reset_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the second factor of somebody away who has lost it."""

        def change(person: User) -> str:
            accounts.reset_second_factor(person, actor=request.user)
            return gettext("{person} may sign in with the password alone now, and set up a new second factor.").format(
                person=person
            )

        return self.change_row(request, object_id, change)

    def _get_to_change(self, request: HttpRequest, object_id: str) -> User:
        person: User = self.get_visible_object(request, object_id)
        if not self.has_change_permission(request, person):
            raise PermissionDenied
        return person

    full_name = make_column(gettext_lazy("Full name"), lambda person: person.get_full_name(), "last_name")
    ways_in = make_column(gettext_lazy("Signs in with"), lambda person: ", ".join(list_ways_in(person)))
    seen = make_column(gettext_lazy("Last seen"), lambda person: when(person.seen_at), "seen_at")

    @admin.display(description=gettext_lazy("Roles everywhere"))
    def roles(self, person: User) -> str:
        """Name what holds everywhere."""
        return ", ".join(list_roles(person))

    @admin.display(description=gettext_lazy("Teams"))
    def teams(self, person: Any) -> SafeString:
        """Name the teams, each with the role."""
        return format_html_join(", ", '{} <span class="quiet">{}</span>', list_places(person))

    @admin.display(description=gettext_lazy("Open"), boolean=True, ordering="is_active")
    def open(self, person: User) -> bool:
        """Whether the account is open."""
        return person.is_active


@admin.register(Group, site=console)
class RoleGroupAdmin(GroupAdmin):
    """Groups, whose members may do something everywhere. Viewer, Operator and Manager hold that of the roles."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        """Offer only permissions that mean something here, in words."""
        if db_field.name != "permissions":
            return super().formfield_for_manytomany(db_field, request, **kwargs)
        return PermissionField(
            accounts.list_permissions().select_related("content_type"), required=False, label=gettext("May, everywhere")
        )
