"""The app of the queue's own plumbing: how messages reach workers, and which workers live."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Brokers, the pulse of the workers, their start and drain, and what their processes share."""

    name = "autosubmit_portal.workers"
    label = "workers"

    def ready(self) -> None:
        """Have workers share nothing that a killed one could take along, and stop whenever they are asked to."""
        from autosubmit_portal.workers import cluster, ipc

        ipc.install()
        cluster.install()
