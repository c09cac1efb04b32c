"""The app of experiments and of what is done to them."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ExperimentsConfig(AppConfig):
    """Keeps one permission per action kind in step with the catalogue."""

    name = "experiments"

    def ready(self) -> None:
        """Synchronise the permissions after each migrate, so that a new kind needs no migration."""
        from experiments.permissions import synchronise_permissions

        post_migrate.connect(synchronise_permissions, sender=self)
