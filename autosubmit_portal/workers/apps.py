"""The app of the queue's own plumbing: how messages reach workers, and which workers live."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Brokers, the pulse of the workers, their drain, and what their processes share."""

    name = "autosubmit_portal.workers"
    label = "workers"

    def ready(self) -> None:
        """Have the processes of a worker share nothing that a killed one could take along."""
        from autosubmit_portal.workers import lockless

        lockless.install()
