"""`manage.py who-can run a000`: the accounts that may do something, and why each may."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from autosubmit_portal.access.rights import policy
from autosubmit_portal.management.subjects import add_subject, find_subject


class Command(BaseCommand):
    """Asks the policy about every open account."""

    help = "List the accounts that may request an action of an experiment or a site, and why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the action and what it is about."""
        add_subject(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line for each account."""
        kind, about = find_subject(options)
        for user in User.objects.filter(is_active=True).order_by("username"):
            decision = policy.decide(user, kind, **about)
            if decision.allowed:
                self.stdout.write(f"{user}\t{decision.via}{name_groups(user, decision.via)}")


def name_groups(user: User, via: str) -> str:
    """Name the groups from which an account has the permission that `via` names, if it names one."""
    codename = via.removeprefix("permission experiments.")
    groups = user.groups.filter(permissions__codename=codename).order_by("name")
    names = ", ".join(groups.values_list("name", flat=True))
    return f" (group {names})" if names else ""
