"""`manage.py gateway`: the gateway of a portal without walls, on the host of its sites."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from experiments import own_gateway


class Command(BaseCommand):
    """Writes what the rows of sites say into the files of the gateway and of its agents, and becomes the gateway."""

    help = (
        "Run the gateway of this host, as this account: without walls between portal and sites. "
        "docs/operations.md says how to set up one with an account of its own."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        """Take the place of this process, so that neither Django nor a connection to the database stays."""
        if owner := own_gateway.find_owner():
            raise CommandError(
                f"{settings.PORTAL_HOME} is not root's: run this as the account {owner[0]}, which has it."
            )
        command = own_gateway.make_command(until_idle=False)
        connections.close_all()
        os.execve(command[0], command, own_gateway.make_process_environment())  # noqa: S606 # our own program
