"""Record what happens outside of actions: sign-ins, and changes of accounts, permissions and other watched rows.

Only this module uses signals: an account may be changed by a page, a command or a shell, and all must be recorded.
"""

from collections.abc import Callable
from threading import local
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import models, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.http import HttpRequest
from django.utils.encoding import force_str
from django.utils.translation import override

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin, get_client_address, get_current_origin, get_door
from autosubmit_portal.sentences import say

_SECRET_FIELDS = frozenset({"password", "digest"})
_UNWATCHED_FIELDS = frozenset({"last_login"})

_listeners: list[Callable[[], None]] = []
_thread = local()


def listen(listener: Callable[[], None]) -> None:
    """Call `listener` after each commit that changed something watched."""
    _listeners.append(listener)


def announce() -> None:
    """Call the listeners when the transaction commits: rights may have changed."""
    _thread.is_changed = True
    transaction.on_commit(_tell_listeners, robust=True)


def _tell_listeners() -> None:
    """Call the listeners once, however many changes the transaction made."""
    if _thread.is_changed:
        _thread.is_changed = False
        for listener in _listeners:
            listener()


def watch_sign_ins() -> None:
    """Record every sign-in, sign-out and failed sign-in."""
    user_logged_in.connect(_record_sign_in, dispatch_uid="audit")
    user_logged_out.connect(_record_sign_out, dispatch_uid="audit")
    user_login_failed.connect(_record_failure, dispatch_uid="audit")


def watch_accounts() -> None:
    """Record every change of a user or a group, and of who has which permission."""
    watch(get_user_model())
    watch(Group)
    for relation in (get_user_model().groups, get_user_model().user_permissions, Group.permissions):
        m2m_changed.connect(_record_relation, sender=relation.through, dispatch_uid="audit")


def watch(model: type[models.Model], *, unless: frozenset[str] = frozenset()) -> None:
    """Record every creation, change and deletion of rows of `model`; fields in `unless` are ignored."""
    skipped = _UNWATCHED_FIELDS | unless

    def look(instance: models.Model, update_fields: frozenset[str] | None = None, **_: Any) -> None:
        names = _list_columns(instance, skipped, update_fields)
        rows = model._base_manager.filter(pk=instance.pk)
        is_there = names and not instance._state.adding
        instance.__dict__["_audited"] = (rows.values(*names).first() if is_there else None) or {}

    def record_saved(
        instance: models.Model, created: bool, update_fields: frozenset[str] | None = None, **_: Any
    ) -> None:
        before = instance.__dict__.pop("_audited")
        after = {name: instance.__dict__[name] for name in _list_columns(instance, skipped, update_fields)}
        changes = _compare({} if created else before, after)
        if created or changes:
            _record_change(instance, "created" if created else "changed", {"changes": changes})

    def record_deleted(instance: models.Model, **_: Any) -> None:
        _record_change(instance, "deleted", {})

    uid = f"audit.{model._meta.label}"
    # Not when a row is read, which is at each request: hardly any is changed.
    pre_save.connect(look, sender=model, dispatch_uid=uid, weak=False)
    post_save.connect(record_saved, sender=model, dispatch_uid=uid, weak=False)
    post_delete.connect(record_deleted, sender=model, dispatch_uid=uid, weak=False)


def _list_columns(instance: models.Model, skipped: frozenset[str], update_fields: frozenset[str] | None) -> list[str]:
    """Return the watched columns that are written; deferred ones are not."""
    return [
        field.attname
        for field in instance._meta.concrete_fields
        if field.attname not in skipped
        and field.attname in instance.__dict__
        and (update_fields is None or {field.name, field.attname} & update_fields)
    ]


def _compare(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    changed = {name: (before.get(name, ""), value) for name, value in after.items() if before.get(name) != value}
    return {
        name: ["…", "…"] if name in _SECRET_FIELDS else [force_str(old), force_str(new)]
        for name, (old, new) in changed.items()
    }


def _record_change(instance: models.Model, what: str, details: dict[str, Any]) -> None:
    name = instance._meta.verbose_name_raw.replace(" ", "_").lower()
    trail.record(f"{name}.{what}", origin=get_current_origin(), subject=f"{name} {instance}", details=details)
    announce()


def _record_relation(instance: models.Model, action: str, model: type[models.Model], pk_set: Any, **_: Any) -> None:
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    rows = model._default_manager.filter(pk__in=pk_set) if pk_set else model._default_manager.none()
    if rows or action == "pre_clear":
        with override(None):  # the trail is in English, whatever language the page speaks
            of = str(model._meta.verbose_name_plural)
        details = {action.split("_")[1]: [str(row) for row in rows], "of": of}
        _record_change(instance, "permissions_changed", details)


def _record_sign_in(request: HttpRequest, user: Any, **_: Any) -> None:
    origin = Origin.make(user, door=get_door(request), address=get_client_address(request))
    trail.record("sign_in.succeeded", origin=origin, subject=f"user {user}")


def _record_sign_out(request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None:
        origin = Origin.make(user, door=get_door(request), address=get_client_address(request))
        trail.record("sign_in.ended", origin=origin, subject=f"user {user}")


def _record_failure(
    credentials: dict[str, Any],
    request: HttpRequest | None = None,
    reason: str = say("Wrong name or password."),
    **_: Any,
) -> None:
    if getattr(request, "axes_locked_out", False):
        return  # access/sign_in/lockout.py records the lockout
    name = str(credentials.get("username", ""))[:150]
    trail.record("sign_in.failed", origin=get_current_origin(), subject=f"user {name}", message=reason)
