"""Who has which permissions, with one query for each request."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission


class OneQueryBackend(ModelBackend):
    """Django's accounts. The permissions of a user and those of the groups are read together, not one by one."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions as `app.codename`, all of them for a superuser; they are read once per user object."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in _permissions(user_obj)}
        permissions: set[str] = user_obj._perm_cache
        return permissions


def _permissions(user: Any) -> Any:
    """Return the apps and codenames of what a user may do."""
    rows = Permission.objects.order_by().values_list("content_type__app_label", "codename")
    if user.is_superuser:
        return rows
    return rows.filter(user=user).union(rows.filter(group__user=user))
