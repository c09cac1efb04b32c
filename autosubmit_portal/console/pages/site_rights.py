"""Roles and accounts of people at sites, and what sites grant to owners; all for whoever manages the site."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.models import SiteAccount, SitePolicy, SiteRole
from autosubmit_portal.console.parts.base import ConsoleAdmin
from autosubmit_portal.console.parts.managed_sites import list_sites, may_manage_some_site
from autosubmit_portal.console.site import console


class LimitedChoices(BaseModelAdmin):  # type: ignore[type-arg]  # of the stubs alone
    """Offers, and accepts, only sites that the user may change the rights at.

    What is chosen is not changed on the way: there are no links beside the fields.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field without the links to add, change and see what is chosen."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Limit what may be chosen."""
        if db_field.name == "site":
            kwargs["queryset"] = list_sites(request.user)
        if db_field.name == "user":
            kwargs["queryset"] = User.objects.order_by("username")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class RightsAdmin(LimitedChoices, ConsoleAdmin):
    """Rights at sites, for whoever manages the site."""

    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those at sites that the user manages."""
        return super().get_queryset(request).filter(site__in=list_sites(request.user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever manages the site, or for a new row any site; they may do everything with it."""
        if obj is None:
            return may_manage_some_site(request.user)
        return list_sites(request.user).filter(pk=obj.site_id).exists()

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
