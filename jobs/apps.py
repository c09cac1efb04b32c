"""The app of jobs."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    """Jobs of experiments; knows experiments by foreign-key name only."""

    name = "jobs"

    def ready(self) -> None:
        """After a migration, restore the index of names and the statistics of SQLite."""
        from autosubmit_portal.db.analysis import analyse
        from jobs import trigrams

        post_migrate.connect(trigrams.restore_index, sender=self)
        post_migrate.connect(analyse, sender=self)
