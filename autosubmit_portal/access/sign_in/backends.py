"""An account and what it holds, asked for once per request.

The permissions come in one query, or with the token of the request; what the person prefers comes with the account.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import QuerySet, TextField
from django.db.models.expressions import RawSQL

# Each request asks this. As SQL it takes a hundredth of a millisecond; to build it from a QuerySet takes more than one.
# With `IN` the statistics of SQLite lead it to ask for the groups once for each permission there is: 0.3 ms.
_HELD = """
SELECT {columns}
FROM (
    SELECT permission_id FROM auth_user_user_permissions WHERE user_id = {user}
    UNION
    SELECT held.permission_id
    FROM auth_group_permissions held JOIN auth_user_groups member ON member.group_id = held.group_id
    WHERE member.user_id = {user}
) held
JOIN auth_permission permission ON permission.id = held.permission_id
JOIN django_content_type content_type ON content_type.id = permission.content_type_id
"""
_JOINED = {"postgresql": "string_agg", "sqlite": "group_concat"}


class AccountBackend(ModelBackend):
    """Django's accounts, with one query for permissions: Django makes two, for the account and for its groups."""

    def get_user(self, user_id: Any) -> User | None:
        """Return the account of a session, with what the person prefers; None of one that is gone or closed."""
        for user in User.objects.select_related("preferences").filter(pk=user_id):
            return user if self.user_can_authenticate(user) else None
        return None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions that an active account holds itself or through its groups, as `app.codename`."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in _read_held(user_obj)}
        held: set[str] = user_obj._perm_cache
        return held


def annotate_permissions(tokens: "QuerySet[Any]", user: str) -> Any:
    """Return tokens with the permissions of the account in their column `user`, as `held`: this saves a query."""
    columns = f"{_JOINED[connection.vendor]}(app_label || '.' || codename, ' ')"
    held = RawSQL(_HELD.format(columns=columns, user=user), (), TextField())  # noqa: S611 - no text of others
    return tokens.annotate(held=held)


def remember(token: Any) -> None:
    """Let the account of a token know what it holds; of an administrator nothing is written down."""
    if not token.user.is_superuser:
        token.user._perm_cache = set((token.held or "").split())


def _read_held(user: Any) -> list[tuple[str, str]]:
    if user.is_superuser:
        return list(Permission.objects.order_by().values_list("content_type__app_label", "codename"))
    with connection.cursor() as cursor:
        cursor.execute(_HELD.format(columns="app_label, codename", user="%s"), [user.pk, user.pk])
        pairs: list[tuple[str, str]] = cursor.fetchall()
    return pairs
