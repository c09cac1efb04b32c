"""The app of jobs."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    """Jobs of experiments; knows experiments by foreign-key name only."""

    name = "jobs"

    def ready(self) -> None:
        """Look after the index of names when the tables have changed."""
        from jobs import trigrams

        post_migrate.connect(trigrams.keep, sender=self)
