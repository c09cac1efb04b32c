"""`manage.py unlock`: lift the lockout of a name or an address that has failed to sign in too often."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.access.sign_in import lockout
from autosubmit_portal.audit.origin import get_current_origin


class Command(BaseCommand):
    """Deletes the failed sign-ins of a name or an address, and records that in the trail."""

    help = "Lift the lockout after failed sign-ins of an account name or an address."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the name and the address."""
        parser.add_argument("username", nargs="?", default="", help="the account name that is locked out")
        parser.add_argument("--address", default="", help="the address that is locked out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Lift it, and say whether there was anything to lift."""
        name, address = options["username"], options["address"]
        if not name and not address:
            raise CommandError("Name an account or an --address.")
        count = lockout.lift(name=name, address=address, origin=get_current_origin())
        self.stdout.write("The lockout is lifted." if count else "There were no failed sign-ins.")
