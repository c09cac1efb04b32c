"""The one place that decides who may do what; `may_…` answers, `require_…` raises with the reason."""

from collections.abc import Callable
from typing import Protocol

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model

from autosubmit_portal.access.scope import scope_of


class PermittedKind(Protocol):
    """What the policy needs to know of an action kind."""

    @property
    def name(self) -> str:
        """Its name in the catalogue."""

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
        self.title = title
        self.permission = permission


class OutOfScope(Forbidden):
    """The account may hold the permission, but the credential that was used is not for this kind."""

    def __str__(self) -> str:
        return f"This token is not for “{self.title}” ({self.permission}). Use another one, or sign in."


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
    """Answer whether the actor may request actions of this kind, with the credential that was used."""
    return _is_in_scope(actor, kind) and _has(actor, f"experiments.{kind.permission}")


def require_request(actor: AbstractBaseUser | AnonymousUser, kind: PermittedKind) -> None:
    """Raise Forbidden unless the actor may request actions of this kind."""
    if not _is_in_scope(actor, kind):
        raise OutOfScope(str(actor), kind.title, f"experiments.{kind.permission}")
    if not may_request(actor, kind):
        raise Forbidden(str(actor), kind.title, f"experiments.{kind.permission}")


def _is_in_scope(actor: AbstractBaseUser | AnonymousUser, kind: PermittedKind) -> bool:
    kinds = scope_of(actor).kinds
    return kinds is None or kind.name in kinds


def _has(actor: AbstractBaseUser | AnonymousUser, permission: str) -> bool:
    return bool(getattr(actor, "has_perm", lambda _: False)(permission))
