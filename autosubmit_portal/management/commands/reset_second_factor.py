"""`manage.py reset_second_factor`: for somebody who has lost their authenticator app and their recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.access.sign_in import second_factor
from autosubmit_portal.management.subjects import find_account


class Command(BaseCommand):
    """Removes the second factor of an account, and records that in the trail."""

    help = "Take the second factor of an account away, so that its owner sets up a new one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the account."""
        parser.add_argument("username", help="the account whose second factor is lost")

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove it, and say what follows."""
        user = find_account(options["username"])
        if not second_factor.reset(user):
            raise CommandError(f"{user} has no second factor.")
        self.stdout.write(f"{user} may sign in with the password alone now.")
