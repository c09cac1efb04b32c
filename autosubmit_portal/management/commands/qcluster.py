"""`manage.py qcluster`: django-q2's worker, whose processes end together."""

import signal
from typing import Any

from django_q.management.commands import qcluster

from autosubmit_portal.workers.parent_death import signal_processes_on_parent_death


class Command(qcluster.Command):
    """Runs the tasks of a queue until SIGTERM.

    When its main process or its guard is killed, the others would go on taking tasks, seen by nobody; here they are
    killed with it. What they were about is safe: commands go on and are followed by the next worker.
    """

    help = "Run the actions of the sites of a queue (Q_CLUSTER_NAME) until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Work."""
        signal_processes_on_parent_death(signal.SIGKILL)
        super().handle(*args, **options)  # type: ignore[no-untyped-call] # django-q2 has no types
