"""Close and reopen accounts, and take a lost second factor away: the rules for the console."""

from typing import Any

from django.contrib.auth.models import Permission, User
from django.db.models import Q, QuerySet

from autosubmit_portal.access.models import UNLIMITED, get_scope
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import LIFT_LOCKOUTS
from autosubmit_portal.access.sign_in import second_factor
from autosubmit_portal.sentences import say

_CHANGE = "auth.change_user"
_OF_PORTAL = ("access", "audit", "experiments", "jobs")


def list_permissions() -> "QuerySet[Permission]":
    """Return the permissions that mean something in the portal; Django makes many others for tables of its own."""
    means = Q(content_type__app_label__in=_OF_PORTAL) | Q(codename=LIFT_LOCKOUTS)
    of_accounts = Q(content_type__app_label="auth", content_type__model__in=("user", "group"))
    return Permission.objects.filter(means | of_accounts).order_by("content_type__app_label", "name")


def describe_permission(permission: Permission) -> str:
    """Return what a permission allows, in words."""
    words = permission.name.removeprefix("Can ").removeprefix("request: ")
    return words[:1].upper() + words[1:]


def may_close(actor: Any, person: User) -> bool:
    """Return whether the actor may close or reopen the account: whoever may change accounts, but not their own."""
    return get_scope(actor) == UNLIMITED and actor.pk != person.pk and bool(actor.has_perm(_CHANGE))


def set_open(person: User, is_open: bool, *, actor: Any) -> None:
    """Close or reopen an account. Raises policy.Forbidden.

    A closed account has no rights, its sessions end, and what waits by its rights is cancelled.
    """
    if not may_close(actor, person):
        raise policy.Forbidden(
            say("{actor} may not close or reopen the account {person}.", actor=actor, person=person), _CHANGE
        )
    person.is_active = is_open
    person.save(update_fields=["is_active"])


def may_reset_second_factor(actor: Any, person: User) -> bool:
    """Return whether the actor may take the second factor of the account away: an administrator, but not their own.

    One's own is switched off with a code of it, which shows that the session is not somebody else's.
    """
    is_administrator = actor.is_active and actor.is_superuser and get_scope(actor) == UNLIMITED
    return bool(is_administrator) and actor.pk != person.pk and second_factor.is_on(person)


def reset_second_factor(person: User, *, actor: Any) -> None:
    """Take the second factor of an account away; its sessions end. Raises policy.Forbidden."""
    if not may_reset_second_factor(actor, person):
        raise policy.Forbidden(
            say(
                "{actor} may not take the second factor of {person} away, or there is none.", actor=actor, person=person
            ),
            "",
        )
    second_factor.reset(person)
