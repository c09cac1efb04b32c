"""`manage.py agent`: the program that runs at a site, and the tokens of those that call."""

import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.gateway.agent_archive import write_archive
from autosubmit_portal.gateway.channels import digest_token
from autosubmit_portal.gateway.hosts import check_name

_TOKEN_BYTES = 32


class Command(BaseCommand):
    """Writes the agent as one file, or makes a token."""

    help = "Write the agent, which runs at a site, as one file agent-<digest>.pyz, or make the token of one that calls."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what is made, and where it goes."""
        made = parser.add_mutually_exclusive_group(required=True)
        made.add_argument("--build", action="store_true", help="write the file and print its path")
        made.add_argument("--token", metavar="HOST", help="print a token for the agent of a host; it is kept nowhere")
        parser.add_argument("--folder", type=Path, default=settings.PORTAL_HOME / "agents", help="where (%(default)s)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it."""
        if options["build"]:
            self.stdout.write(str(write_archive(options["folder"])))
            return
        try:
            self._make_token(check_name(options["token"]))
        except ProtocolError as error:
            raise CommandError(f"{error}.") from error

    def _make_token(self, host: str) -> None:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.stdout.write(token)
        self.stderr.write(
            f"Put this token into the file at {host} that --token-file names, and its digest into the gateway's file "
            f"of hosts, beside the one of before until the agent has the new one:\n"
            f'  "{host}": {{"channel": "websocket", "tokens": ["{digest_token(token)}"]}}'
        )
