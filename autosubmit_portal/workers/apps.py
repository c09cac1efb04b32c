"""What django-q2 needs around it: how messages reach workers, and which workers live."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Brokers, heartbeat, start and shutdown of workers, and what their processes share."""

    name = "autosubmit_portal.workers"
    label = "workers"

    def ready(self) -> None:
        """Replace the parts of django-q2 that hang when a process is killed or stopped at a bad moment."""
        from autosubmit_portal.workers import cluster, ipc

        ipc.install()
        cluster.install()
