"""`manage.py agent`: the program that runs at a site."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from autosubmit_portal.gateway.agent_archive import write_archive


class Command(BaseCommand):
    """Writes the agent as one file."""

    help = "Write the agent, which runs at a site, as one file agent-<digest>.pyz, and print its path."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say where it goes."""
        parser.add_argument("--build", action="store_true", required=True, help="write the file")
        parser.add_argument("--folder", type=Path, default=settings.PORTAL_HOME / "agents", help="where (%(default)s)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Write it."""
        self.stdout.write(str(write_archive(options["folder"])))
