"""Which permissions an account holds, asked for once per request and in one query."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db import connection

# Each request asks this. As SQL it takes a tenth of a millisecond; to build it from a QuerySet takes more than one.
_HELD = """
SELECT content_type.app_label, permission.codename
FROM auth_permission permission
JOIN django_content_type content_type ON content_type.id = permission.content_type_id
WHERE permission.id IN (
    SELECT permission_id FROM auth_user_user_permissions WHERE user_id = %s
    UNION
    SELECT held.permission_id
    FROM auth_group_permissions held JOIN auth_user_groups member ON member.group_id = held.group_id
    WHERE member.user_id = %s
)
"""


class AccountBackend(ModelBackend):
    """Django's accounts; Django itself asks twice, for the permissions of the account and for those of its groups."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions that an active account holds itself or through its groups, as `app.codename`."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in _held_by(user_obj)}
        held: set[str] = user_obj._perm_cache
        return held


def _held_by(user: Any) -> list[tuple[str, str]]:
    if user.is_superuser:
        return list(Permission.objects.order_by().values_list("content_type__app_label", "codename"))
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [user.pk, user.pk])
        pairs: list[tuple[str, str]] = cursor.fetchall()
    return pairs
