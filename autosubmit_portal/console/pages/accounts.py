"""Users and groups, as Django has them. The groups Viewer, Operator and Manager hold the permissions of the roles."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.utils.safestring import SafeString

from autosubmit_portal.console.parts import presentation
from autosubmit_portal.console.site import console

if TYPE_CHECKING:
    PeopleAdmin = UserAdmin[User]
else:
    PeopleAdmin = UserAdmin


@admin.register(User, site=console)
class AccountAdmin(PeopleAdmin):
    """People. The groups say what they may see and do; Django's `is_staff` means nothing here and is not shown."""

    list_display = (
        "username",
        "first_name",
        "last_name",
        "roles",
        "is_active",
        "is_superuser",
        "signed_in",
    )
    list_filter = ("groups", "is_active", "is_superuser")
    readonly_fields = ("last_login", "date_joined")

    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Permissions", {"fields": ("is_active", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def get_queryset(self, request):  # type: ignore[no-untyped-def]  # as Django's own
        """Fetch the groups with the users."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="Last sign-in", ordering="last_login")
    def signed_in(self, user: User) -> SafeString:
        """Show when they last signed in."""
        return presentation.when(user.last_login)

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        """Name the groups."""
        return ", ".join(group.name for group in user.groups.all())


console.register(Group, GroupAdmin)
