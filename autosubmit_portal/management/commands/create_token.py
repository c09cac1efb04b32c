"""`manage.py create_token`: a new API token for an account."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.access import api_tokens
from autosubmit_portal.audit.origin import get_current_origin
from autosubmit_portal.management.subjects import find_account
from experiments.catalogue.kinds import CATALOGUE


class Command(BaseCommand):
    """Prints the token, which is kept as a digest only and cannot be shown again."""

    help = "Make an API token for an account and print it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the account and what the token is for."""
        parser.add_argument("username", help="the account that the token acts as")
        parser.add_argument("--name", required=True, help="what uses the token; shown in the console")
        parser.add_argument("--days", type=int, help="for how long it is good (default: 90)")
        parser.add_argument("--read-only", action="store_true", help="make it only to read")
        parser.add_argument(
            "--kind",
            action="append",
            choices=list(CATALOGUE),
            help="make it for actions of this kind only; may be given again",
        )
        parser.add_argument(
            "--team", action="append", help="limit it to the experiments of this team; may be given again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the token and print nothing but it."""
        user = find_account(options["username"])
        kinds = [] if options["read_only"] else options["kind"]
        wanted = api_tokens.TokenRequest(name=options["name"], days=options["days"], kinds=kinds, teams=options["team"])
        try:
            _, token = api_tokens.make_token(user, wanted, origin=get_current_origin())
        except api_tokens.WrongToken as error:
            raise CommandError(str(error)) from error
        self.stdout.write(token)
