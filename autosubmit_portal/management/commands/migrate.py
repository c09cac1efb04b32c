"""`manage.py migrate`: Django's own, for a database that is new or was up to date before there was one per app."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from autosubmit_portal.db import history


class Command(migrate.Command):
    """Refuses a database that is older, before anything is changed."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate; raise CommandError for a database that cannot be brought up to date from here."""
        connection = connections[options["database"]]
        history.require_known_state(connection)
        super().handle(*args, **options)
        history.forget_replaced(connection)
