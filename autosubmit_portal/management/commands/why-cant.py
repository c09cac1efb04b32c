"""`manage.py why-cant ana run a000`: what the policy decides about an account, in words."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.access.rights import policy
from autosubmit_portal.management.subjects import add_subject, find_account, find_subject


class Command(BaseCommand):
    """Prints the decision; one that refuses ends the command with status 1."""

    help = "Explain whether an account may request an action of an experiment or a site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the account, the action and what it is about."""
        parser.add_argument("username", help="the account")
        add_subject(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the decision."""
        user = find_account(options["username"])
        kind, about = find_subject(options)
        decision = policy.decide(user, kind, **about)
        if not decision.allowed:
            raise CommandError(decision.reason)
        self.stdout.write(decision.reason)
