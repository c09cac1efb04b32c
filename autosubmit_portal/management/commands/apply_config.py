"""`manage.py apply_config`: make the portal as a file of `export_config` says."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from autosubmit_portal.audit.origin import get_current_origin
from autosubmit_portal.management.configuration.changes import Changes
from autosubmit_portal.management.configuration.document import WrongFile
from autosubmit_portal.management.configuration.plan import apply_file


class Command(BaseCommand):
    """Applies all of the file or nothing, prints each change, and names what the file does not."""

    help = "Make sites, hosts, teams, rights and freezes as a YAML file says; what it does not name stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the file and the options."""
        parser.add_argument("file", type=Path, help="a file as `export_config` prints it, or a part of one")
        parser.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
        parser.add_argument(
            "--prune", action="store_true", help="remove what stands beside what the file names, but for sites"
        )
        parser.add_argument(
            "--skip-missing",
            action="store_true",
            help="leave out people without an account and experiments that are not there, instead of failing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Apply the file, and say what that did."""
        try:
            changes = apply_file(
                options["file"],
                origin=get_current_origin(),
                is_pruning=options["prune"],
                is_skipping=options["skip_missing"],
                is_dry_run=options["dry_run"],
            )
        except WrongFile as error:
            raise CommandError(f"Nothing was changed.\n{error}") from error
        except DatabaseError as error:
            text = f"Nothing was changed: {error}. Somebody may have changed the same just now. Apply it again."
            raise CommandError(text) from error
        self._print(changes, is_dry_run=options["dry_run"])

    def _print(self, changes: Changes, *, is_dry_run: bool) -> None:
        for change in changes:
            self.stdout.write(str(change))
        for path in changes.left_out:
            self.stdout.write(f"? {path}: not there yet, left out")
        for path in changes.kept:
            self.stdout.write(f"= {path}: not in the file, stays")
        number = len(list(changes))
        said = f"{number} {'change' if number == 1 else 'changes'}"
        self.stdout.write(f"{said} would be made." if is_dry_run else f"{said} made.")
