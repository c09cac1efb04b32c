"""`manage.py call_off`: cancel every action that waits, after a restore of the database."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from autosubmit_portal.audit.origin import get_current_origin
from experiments.actions.cancel import call_off_waiting


class Command(BaseCommand):
    """Cancels what is queued, awaits approval or has no command yet, and names it; what runs goes on."""

    help = "Cancel every action that waits: after a restore nobody knows whether it has run since."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the reason."""
        parser.add_argument("--reason", required=True, help="why; the actions and the trail keep it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Cancel them, and say which."""
        called_off = call_off_waiting(options["reason"], get_current_origin())
        for action in called_off:
            self.stdout.write(f"{action.pk}\t{action.kind}\t{action.expid or action.site}")
        number = len(called_off)
        self.stdout.write(f"{number} {'action was' if number == 1 else 'actions were'} called off.")
