"""The one place that decides who may do what; `may_…` answers, `require_…` raises with the reason."""

from collections.abc import Callable
from typing import Protocol

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model


class PermittedKind(Protocol):
    """What the policy needs to know of an action kind."""

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def permission(self) -> str:
        """The codename of the permission in the app `experiments`."""


class Forbidden(Exception):
    """The actor may see the thing but lacks `permission`, which is named so that a manager can give it."""

    def __init__(self, actor: str, title: str, permission: str) -> None:
        super().__init__(
            f"{actor} may not do “{title}”: the permission {permission} is missing. Ask a manager."
        )
        self.permission = permission


def may_enter(actor: AbstractBaseUser | AnonymousUser) -> bool:
    """Answer whether the actor may use the console: whoever may see anything in it."""
    permissions: Callable[[], set[str]] = getattr(actor, "get_all_permissions", set)
    return any(".view_" in permission for permission in permissions())


def may_view(actor: AbstractBaseUser | AnonymousUser, model: type[Model]) -> bool:
    """Answer whether the actor may see rows of `model`."""
    return _has(actor, f"{model._meta.app_label}.view_{model._meta.model_name}")


def require_view(actor: AbstractBaseUser | AnonymousUser, model: type[Model]) -> None:
    """Raise Forbidden unless the actor may see rows of `model`."""
    if not may_view(actor, model):
        permission = f"{model._meta.app_label}.view_{model._meta.model_name}"
        raise Forbidden(str(actor), f"View {model._meta.verbose_name_plural}", permission)


def may_request(actor: AbstractBaseUser | AnonymousUser, kind: PermittedKind) -> bool:
    """Answer whether the actor may request actions of this kind."""
    return _has(actor, f"experiments.{kind.permission}")


def require_request(actor: AbstractBaseUser | AnonymousUser, kind: PermittedKind) -> None:
    """Raise Forbidden unless the actor may request actions of this kind."""
    if not may_request(actor, kind):
        raise Forbidden(str(actor), kind.title, f"experiments.{kind.permission}")


def _has(actor: AbstractBaseUser | AnonymousUser, permission: str) -> bool:
    return bool(getattr(actor, "has_perm", lambda _: False)(permission))
