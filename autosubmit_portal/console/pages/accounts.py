"""Users and groups, as Django has them. The groups Viewer, Operator and Manager hold the permissions of the roles."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.utils.translation import gettext_lazy

from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.presentation import when
from autosubmit_portal.console.site import console


@admin.register(User, site=console)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # of the stubs alone
    """People. The groups say what they may see and do; Django's `is_staff` means nothing here and is not shown."""

    list_display = ("username", "first_name", "last_name", "roles", "is_active", "is_superuser", "signed_in")
    list_filter = ("groups", "is_active", "is_superuser")
    readonly_fields = ("last_login", "date_joined")

    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Permissions"), {"fields": ("is_active", "is_superuser", "groups", "user_permissions")}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined")}),
    )

    def get_queryset(self, request):  # type: ignore[no-untyped-def]  # as Django's own
        """Fetch the groups with the users."""
        return super().get_queryset(request).prefetch_related("groups")

    roles = make_column(gettext_lazy("Roles"), lambda user: ", ".join(group.name for group in user.groups.all()))
    signed_in = make_field_column(gettext_lazy("Last sign-in"), "last_login", when)


console.register(Group, GroupAdmin)
