"""`manage.py export_config`: the configuration of the portal as one YAML file."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from autosubmit_portal.management.configuration.current import make_writable, read_current
from experiments.autosubmit.plain_data import write_yaml


class Command(BaseCommand):
    """Prints it. There are no secrets in it."""

    help = "Print sites, hosts, teams, rights and freezes as YAML, for `apply_config`."

    def handle(self, *args: Any, **options: Any) -> None:
        """Read all of it at one moment, and print it."""
        with transaction.atomic():
            configuration = read_current()
        self.stdout.write(write_yaml(make_writable(configuration)), ending="")
