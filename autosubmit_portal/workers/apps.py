"""The app of the queue's own plumbing: how messages reach workers, and which workers live."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Brokers, the pulse of the workers, and their drain."""

    name = "autosubmit_portal.workers"
    label = "workers"
