"""One permission for each action kind and for each duty at sites. Groups get them as the catalogue says."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from autosubmit_portal.access.roles import LIFT_LOCKOUTS, MANAGE_TEAMS, VIEW, Role
from experiments.catalogue.kinds import CATALOGUE

MANAGE = ("change_site", "view_auditentry", "view_apitoken", "delete_apitoken")


@dataclass(frozen=True, slots=True)
class Duty:
    """A permission that works like that of an action kind, but is for something done at once to a site.

    `verb` says it before the name of the site.
    """

    name: str
    title: str
    permission: str
    role: Role
    verb: str


FREEZE = Duty("freeze", "Freeze", "freeze_site", Role.MANAGER, "freeze")
CALL_LOST = Duty("call_lost", "Call lost", "call_action_lost", Role.MANAGER, "call a command lost at")
# Who may do the one may do the other: both say what nobody can see.
CALL_EMPTY = Duty("call_empty", "Call empty", CALL_LOST.permission, Role.MANAGER, "call a host empty at")
CHOOSE_PROGRAM = Duty("choose_program", "Choose a program", "choose_program", Role.MANAGER, "choose a program at")
# These are for experiments: whoever may act on one may write.
WRITE_NOTE = Duty("write_note", "Write a note", "write_note", Role.OPERATOR, "write notes at")
REMOVE_NOTE = Duty("remove_note", "Remove a note", "remove_note", Role.MANAGER, "remove notes at")


def synchronise_permissions(**_: Any) -> None:
    """Create missing permissions, and give each new one to the groups of its role and above.

    Groups of existing permissions are not changed: a manager may have removed one on purpose.
    """
    for label in ("experiments", "jobs", "audit", "access"):
        create_permissions(apps.get_app_config(label), verbosity=0)
    _give_new_groups_their_views()
    for kind in CATALOGUE.values():
        _make("experiments.Action", kind.permission, f"Can request: {kind.title}", kind.role)
    _make("axes.AccessAttempt", LIFT_LOCKOUTS, "Can see and lift lockouts", Role.MANAGER)
    _make("experiments.Freeze", FREEZE.permission, "Can freeze a site or a platform", FREEZE.role)
    _make("experiments.Experiment", CHOOSE_PROGRAM.permission, "Can choose a program", CHOOSE_PROGRAM.role)
    _make("experiments.Note", WRITE_NOTE.permission, "Can write notes, and acknowledge", WRITE_NOTE.role)
    _make("experiments.Note", REMOVE_NOTE.permission, "Can remove notes of others", REMOVE_NOTE.role)
    _make("experiments.Action", CALL_LOST.permission, "Can call a command lost", CALL_LOST.role)
    _make("access.Team", MANAGE_TEAMS, "Can manage teams, and the roles and accounts at sites", Role.MANAGER)


def _make(model: str, codename: str, name: str, least: Role) -> None:
    """Create a permission if it is missing, and then give it to the groups of a role and above."""
    permission, is_new = Permission.objects.get_or_create(
        content_type=ContentType.objects.get_for_model(apps.get_model(model)),
        codename=codename,
        defaults={"name": name},
    )
    if is_new:
        for role in (role for role in Role if role >= least):
            Group.objects.get_or_create(name=role.title)[0].permissions.add(permission)


def _give_new_groups_their_views() -> None:
    for role in Role:
        group, is_new = Group.objects.get_or_create(name=role.title)
        if is_new or not group.permissions.exists():
            names = VIEW + (MANAGE if role is Role.MANAGER else ())
            group.permissions.add(*Permission.objects.filter(codename__in=names))
