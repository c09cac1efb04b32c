"""The project as an app: its admin and commands are found by Django, and the wiring between apps is done here."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The doors, and what they are wired to."""

    name = "autosubmit_portal"
    label = "portal"

    def ready(self) -> None:
        """Have the audit trail watch the sites and the API tokens, and register the checks of the settings."""
        from autosubmit_portal import checks  # noqa: F401
        from autosubmit_portal.access.models import ApiToken
        from autosubmit_portal.audit import watch
        from experiments.models import Site

        watch.watch(Site, unless=frozenset({"autosubmit_version", "problem", "mirrored_at"}))
        watch.watch(ApiToken)
