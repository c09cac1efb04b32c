"""`manage.py qcluster`: django-q2's worker, whose processes end together."""

import logging
import signal
from typing import Any

from django.db import Error, connections
from django_q.management.commands import qcluster

from autosubmit_portal.workers.parent_death import signal_processes_on_parent_death
from experiments import hosts

logger = logging.getLogger(__name__)


class Command(qcluster.Command):
    """Runs the tasks of a queue until SIGTERM.

    When its main process or its guard is killed, the other processes would go on taking tasks without supervision, so
    they are killed too. Nothing is lost: commands go on, and the next worker follows them.
    """

    requires_system_checks = ("portal",)
    help = "Run the actions of the sites of a queue (Q_CLUSTER_NAME) until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cluster."""
        try:
            hosts.keep_gateway()
        except Error:  # the supervisor does it when the database is back
            logger.exception("The gateway was not started")
        connections.close_all()  # before there are other processes
        signal_processes_on_parent_death(signal.SIGKILL)
        super().handle(*args, **options)  # type: ignore[no-untyped-call] # django-q2 has no types
