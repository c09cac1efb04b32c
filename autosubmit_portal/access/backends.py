"""Which permissions an account holds, asked for once per request and in one query."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet


class AccountBackend(ModelBackend):
    """Django's accounts; Django itself asks twice, for the permissions of the account and for those of its groups."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions that an active account holds itself or through its groups, as `app.codename`."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            pairs = _held_by(user_obj).values_list("content_type__app_label", "codename")
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in pairs}
        held: set[str] = user_obj._perm_cache
        return held


def _held_by(user: Any) -> QuerySet[Permission]:
    every = Permission.objects.order_by()
    if user.is_superuser:
        return every
    return every.filter(user=user).union(every.filter(group__user=user))
