"""`manage.py create_token`: a new API token for an account."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.access.models import ApiToken


class Command(BaseCommand):
    """Prints the token, which is kept as a digest only and cannot be shown again."""

    help = "Make an API token for an account and print it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the account and what the token is for."""
        parser.add_argument("username", help="the account that the token acts as")
        parser.add_argument("--name", required=True, help="what uses the token; shown in the console")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the token and print nothing but it."""
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no account “{options['username']}”.")
        _, token = ApiToken.objects.create(user=user, name=options["name"])
        self.stdout.write(token)
